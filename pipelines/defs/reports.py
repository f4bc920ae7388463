"""Assets of the reports: one self-contained page per property. Not here: writing it (`pipelines.reports`)."""

from __future__ import annotations

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.learning import predictions_key
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.ingest.sources import contracts
from matstrata.schemas.ensembles import EnsembleSpec


def report_key(spec: EnsembleSpec) -> dg.AssetKey:
    """The key of a property's report."""
    return dg.AssetKey(["reports", spec.name])


def report_asset(spec: EnsembleSpec) -> dg.AssetsDefinition:
    """The report of a property: rewritten when anything in it has changed."""

    @dg.asset(
        key=report_key(spec),
        deps=[predictions_key(spec)],
        group_name=spec.name,
        kinds={"html"},
        description=f"{spec.predicts.title}: parity, errors, coverage, sources, rejections, on one page.",
        automation_condition=WHEN_CHANGED,
    )
    def report(store: StoreResource) -> dg.MaterializeResult:
        from matstrata.pipelines.reports.report import write_report  # deferred: 1 s, plotly
        from matstrata.pipelines.reports.store_page import freshness_hours, write_store_page

        written = write_report(store.lake(), spec.name)
        write_store_page(store.lake(), freshness_hours(contracts().values()))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(written.version),
            metadata={"page": dg.MetadataValue.path(str(written.path)), "rewritten": written.is_new},
        )

    return report
