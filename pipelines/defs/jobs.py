"""Jobs and schedules: the chain of one property, as the UI, the schedules and `matstrata run` execute it.

Not here: running them in this process (`pipelines.cli.runs`).
"""

from __future__ import annotations

import dagster as dg

from matstrata.pipelines.defs.features import features_key
from matstrata.pipelines.defs.learning import ensemble_key, predictions_key, source_model_key, training_sets_key
from matstrata.pipelines.defs.materials import MATERIALS
from matstrata.pipelines.defs.reports import report_key
from matstrata.pipelines.defs.sources import observations_key
from matstrata.schemas.contracts import Contract
from matstrata.schemas.ensembles import EnsembleSpec


def chain(spec: EnsembleSpec) -> list[dg.AssetKey]:
    """All assets of a property's chain, from its sources' observations to its report."""
    return [
        *(observations_key(source) for source in spec.source_names),
        MATERIALS,
        *(features_key(name) for name in spec.features),
        training_sets_key(spec),
        *(source_model_key(spec, source) for source in spec.sources),
        ensemble_key(spec),
        predictions_key(spec),
        report_key(spec),
    ]


def property_job(spec: EnsembleSpec) -> dg.UnresolvedAssetJobDefinition:
    """The job that makes a property's chain."""
    return dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(*chain(spec)),
        description=f"Everything for {spec.predicts.title.lower()}: ingest, describe, train, stack, predict, report.",
    )


def refresh_schedule(contract: Contract) -> dg.ScheduleDefinition | None:
    """The scheduled refresh of a source and of all that depends on it, if its contract names a time."""
    if contract.refresh.cron is None:
        return None
    return dg.ScheduleDefinition(
        name=f"refresh_{contract.source}",
        target=dg.AssetSelection.assets(observations_key(contract.source)).downstream(),
        cron_schedule=contract.refresh.cron,
        description=f"Refreshes {contract.title}, and what depends on it.",
    )
