"""The code location: what `dagster dev -m matstrata.pipelines.definitions` loads. It declares and runs nothing.

Not here: the assets (`pipelines.defs`), and running them for a command (`pipelines.cli.runs`).
"""

from __future__ import annotations

import warnings

import dagster as dg

from matstrata.pipelines.defs.features import features_asset
from matstrata.pipelines.defs.inbox import inbox, inbox_drafts, inbox_sensor
from matstrata.pipelines.defs.jobs import property_job, refresh_schedule
from matstrata.pipelines.defs.learning import learning_assets
from matstrata.pipelines.defs.maintenance import maintenance, weekly_maintenance
from matstrata.pipelines.defs.materials import materials_asset
from matstrata.pipelines.defs.reports import report_asset
from matstrata.pipelines.defs.resources import EXECUTOR, resources
from matstrata.pipelines.defs.sources import observations_asset, source_spec
from matstrata.pipelines.defs.structures import structures_asset
from matstrata.pipelines.descriptors.registry import FEATURE_SETS
from matstrata.pipelines.ingest.sources import contracts
from matstrata.schemas.ensembles import ensembles

# Dagster (1.13) warns of a beta parameter that it passes to itself when a sensor is put into a repository
warnings.filterwarnings("ignore", message=r".*`owners` of initializer `SensorDefinition", category=dg.BetaWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs and schedules: sources -> observations -> materials -> features -> models -> reports."""
    sources = contracts()
    specs = ensembles().values()
    schedules = (refresh_schedule(contract) for contract in sources.values())
    return dg.Definitions(
        assets=[
            *(source_spec(contract) for contract in sources.values()),
            *(observations_asset(contract) for contract in sources.values()),
            materials_asset(sources),
            structures_asset(sources.values()),
            *(features_asset(feature_set) for feature_set in FEATURE_SETS.values()),
            *(asset for spec in specs for asset in learning_assets(spec)),
            *(report_asset(spec) for spec in specs),
        ],
        jobs=[*(property_job(spec) for spec in specs), inbox, inbox_drafts, maintenance],
        sensors=[inbox_sensor],
        schedules=[*(schedule for schedule in schedules if schedule is not None), weekly_maintenance],
        resources=resources(),
        executor=EXECUTOR,
    )
