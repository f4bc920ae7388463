"""The code location: what `dagster dev -m matstrata.pipelines.definitions` loads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import dagster as dg

from matstrata.pipelines.defs.inbox import inbox, inbox_drafts, inbox_sensor
from matstrata.pipelines.defs.jobs import property_job, refresh_schedule
from matstrata.pipelines.defs.learning import learning_assets
from matstrata.pipelines.defs.maintenance import maintenance, weekly_maintenance
from matstrata.pipelines.defs.materials import features_asset, materials_asset
from matstrata.pipelines.defs.reports import report_asset
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_asset, record_unchanged, source_spec
from matstrata.pipelines.defs.structures import structures_asset
from matstrata.pipelines.descriptors.registry import FEATURE_SETS, get_feature_set
from matstrata.pipelines.ingest.sources import contracts, get_contract, known_sources, sound_contracts
from matstrata.schemas.ensembles import EnsembleSpec, ensembles
from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings

# Dagster (1.13) warns of a beta parameter that it passes to itself when a sensor is put into a repository
warnings.filterwarnings("ignore", message=r".*`owners` of initializer `SensorDefinition", category=dg.BetaWarning)

_RESOURCES = {"store": StoreResource()}
# One process per run: the assets write to one store in turn, and each new process would import for 6 s.
_EXECUTOR = dg.in_process_executor


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
        resources=_RESOURCES,
        executor=_EXECUTOR,
    )


def execute(spec: EnsembleSpec) -> None:
    """Run a property's chain in this process, recorded in the Dagster instance as any other run.

    Raises:
        InputError, WorkError: as the packages raise them.
    """
    for name in spec.features:
        get_feature_set(name)  # what Dagster says of one that there is not is forty lines
    with dg.DagsterInstance.get() as instance:
        defs().resolve_job_def(spec.name).execute_in_process(
            instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        )


def refresh_sources(sources: Sequence[str], unchanged: Sequence[str]) -> dict[str, str]:
    """Refresh sources and what follows from their records, recorded in the Dagster instance as any other run.

    Args:
        sources: which.
        unchanged: those of them that need no run, where the instance knows them; a step costs it 0.4 s.

    Returns:
        The sources that failed, and why; the others are up to date.
    """
    with dg.DagsterInstance.get() as instance:
        recorded = record_unchanged(instance, Lake.of(Settings()), unchanged)
        due = [get_contract(source) for source in sources if source not in recorded]
        assets = [*(observations_asset(contract) for contract in due), materials_asset(known_sources())]
        if any(get_contract(source).columns.structure for source in sources):
            assets.append(structures_asset(sound_contracts()))
        result = (
            dg.Definitions(assets=assets, resources=_RESOURCES, executor=_EXECUTOR)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
    failed = {}
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error is not None and error.cause is not None else error
            message = "" if cause is None else cause.message.strip().partition(": ")[2]
            failed[(event.step_key or "").removeprefix("observations__")] = message
    return failed
