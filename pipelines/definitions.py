"""The code location: what `dagster dev -m pipelines.definitions` loads."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.jobs import property_job, refresh_schedule
from pipelines.defs.learning import learning_assets
from pipelines.defs.materials import features_asset, materials_asset
from pipelines.defs.reports import report_asset
from pipelines.defs.resources import StoreResource, contracts
from pipelines.defs.sources import observations_asset, source_spec
from pipelines.descriptors.catalogue import FEATURE_SETS
from schemas.ensembles import EnsembleSpec, ensembles


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
            *(features_asset(feature_set) for feature_set in FEATURE_SETS.values()),
            *(asset for spec in specs for asset in learning_assets(spec)),
            *(report_asset(spec) for spec in specs),
        ],
        jobs=[property_job(spec) for spec in specs],
        schedules=[schedule for schedule in schedules if schedule is not None],
        resources={"store": StoreResource()},
        # One process per run: the assets write to one store in turn, and each new process would import for 6 s.
        executor=dg.in_process_executor,
    )


def execute(spec: EnsembleSpec) -> None:
    """Run a property's chain in this process, recorded in the Dagster instance as any other run.

    Raises:
        InputError, WorkError: as the packages raise them.
    """
    with dg.DagsterInstance.get() as instance:
        defs().resolve_job_def(spec.name).execute_in_process(
            instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        )
