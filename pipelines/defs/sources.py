"""Assets of the sources: their files, and the observations that are made of them, with their checks.

Not here: reading and validating (`pipelines.ingest`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.drift import drift_result, drift_spec
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.ingest.documented import refresh_documented
from matstrata.pipelines.ingest.refresh import AllRefusedError
from matstrata.pipelines.ingest.sources import get_contract, locate_sources
from matstrata.pipelines.ingest.validating.data_docs import docs_page
from matstrata.pipelines.ingest.validating.validation import RefusedError
from matstrata.schemas.contracts import Contract
from matstrata.store.lake.lake import Lake, current_snapshot
from matstrata.store.records.checks import ValidationSummary, conservation, validation_summary
from matstrata.store.records.sources import content_version, content_versions

log = logging.getLogger("matstrata.ingest")

GROUP = "sources"
_VERSION = "dagster/data_version"  # the tag by which Dagster recognizes equal contents
_NOTHING_CHANGED = {f"observations {change}": 0 for change in ("added", "changed", "removed")}


def source_key(source: str) -> dg.AssetKey:
    """The key of a source's files."""
    return dg.AssetKey(["sources", source])


def observations_key(source: str) -> dg.AssetKey:
    """The key of a source's observations."""
    return dg.AssetKey(["observations", source])


def source_spec(contract: Contract) -> dg.AssetSpec:
    """The files of a source, where the lineage starts."""
    return dg.AssetSpec(
        source_key(contract.source),
        description=f"{contract.title}\n\n{contract.description}",
        group_name=GROUP,
        kinds={contract.kind},
        metadata={
            "licence": contract.licence,
            "citation": dg.MetadataValue.md(f"```bibtex\n{contract.citation.bibtex}\n```"),
            "files": [file.label for file in contract.files],
        },
    )


def observations_asset(contract: Contract) -> dg.AssetsDefinition:
    """The observations of a source: refreshed by difference, never half-written."""
    key = observations_key(contract.source)
    hours = contract.refresh.freshness_hours

    @dg.asset(
        key=key,
        deps=[source_key(contract.source)],
        group_name=GROUP,
        kinds={"ducklake", contract.kind},
        description=f"Observations of {contract.title}: validated, in canonical units.",
        automation_condition=WHEN_CHANGED,
        freshness_policy=dg.FreshnessPolicy.time_window(timedelta(hours=hours)) if hours else None,
        check_specs=[
            dg.AssetCheckSpec("conservation", asset=key, blocking=True, description="records in = accepted + rejected"),
            dg.AssetCheckSpec("validation", asset=key, blocking=True, description="the expectations of the contract"),
            drift_spec(key),
        ],
    )
    def observations(store: StoreResource) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        lake = store.lake()
        current = get_contract(contract.source)
        try:
            done = refresh_documented(lake, current, locate_sources([current.source])[current.source])
        except (RefusedError, AllRefusedError) as refused:
            yield _refusal_result(key, refused)
            raise
        with lake.reader() as con:
            conserved = conservation(con, current.source)
            validated = validation_summary(con, current.source)
            version = content_version(con, current.source)
            snapshot = current_snapshot(con)
            drifted = drift_result(con, current.source)
        page = docs_page(lake, current.source)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                "dagster/row_count": conserved.observations,
                "records in": done.rows_in,
                "records accepted": done.rows_accepted,
                "records rejected": done.rows_rejected,
                "observations added": done.inserted,
                "observations changed": done.updated,
                "observations removed": done.deleted,
                "rejections by rule": dg.MetadataValue.md(conserved.rejections_table()),
                "snapshot": snapshot,
                **({"data docs": dg.MetadataValue.path(page)} if page.exists() else {}),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="conservation",
                    passed=conserved.holds,
                    metadata={
                        "records in": conserved.rows_in,
                        "accepted": conserved.accepted,
                        "rejected": conserved.rejected,
                    },
                ),
                dg.AssetCheckResult(
                    check_name="validation",
                    passed=validated.holds,
                    metadata={"expectations": dg.MetadataValue.md(validated.table())},
                ),
                drifted,
            ],
        )

    return observations


def record_unchanged(instance: dg.DagsterInstance, lake: Lake, sources: Sequence[str]) -> list[str]:
    """Record that sources have not changed, by one event each, which keeps them fresh.

    Returns:
        Those whose content in this store the instance has on record; the rest needs a run.
    """
    if not sources:
        return []
    with lake.reader() as con:
        versions = content_versions(con, sources)
    by_key = {observations_key(source): source for source in sources}
    recorded = []
    for record in instance.get_asset_records(list(by_key)):
        last = record.asset_entry.last_materialization
        made = last.asset_materialization if last is not None else None
        if made is None or (made.tags or {}).get(_VERSION) != versions[by_key[made.asset_key]]:
            continue
        source = by_key[made.asset_key]
        instance.report_runless_asset_event(
            dg.AssetMaterialization(made.asset_key, metadata={**made.metadata, **_NOTHING_CHANGED}, tags=made.tags)
        )
        log.info("%s: unchanged, %s records", source, f"{made.metadata['records in'].value:,}")
        recorded.append(source)
    return recorded


def _refusal_result(key: dg.AssetKey, refused: RefusedError | AllRefusedError) -> dg.AssetCheckResult:
    """The check of a refused source: the rules that it broke, though nothing of it is in the store."""
    summary = ValidationSummary([asdict(result) for result in refused.validation.results])
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="validation",
        passed=False,
        description=str(refused),
        metadata={"expectations": dg.MetadataValue.md(summary.table())},
    )
