"""Running Dagster's assets for a command, in this process and recorded as any other run.

Great Expectations and Dagster are imported only as far as a command needs them. Not here: the assets
(`pipelines.definitions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from matstrata.pipelines.cli import interrupts
from matstrata.pipelines.cli.console import get_lake
from matstrata.pipelines.ingest.documented import settled
from matstrata.pipelines.ingest.fetching.files import UnlocatedError
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.sources import get_contract, known_sources, locate_sources, sound_contracts
from matstrata.pipelines.ingest.validating.second_process import second_process
from matstrata.schemas.contracts import Contract
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.errors import InputError

_QUIET: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute(spec: EnsembleSpec) -> None:
    """Run all assets of a property, from its sources to its report.

    Raises:
        InputError, WorkError: as the packages raise them.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    import dagster as dg  # deferred: 3 s

    from matstrata.pipelines.definitions import defs
    from matstrata.pipelines.descriptors.registry import get_feature_set

    for name in spec.features:
        get_feature_set(name)  # Dagster's error about an unknown asset is forty lines long
    with _interruptible(), dg.DagsterInstance.get() as instance:
        defs().resolve_job_def(spec.name).execute_in_process(instance=instance, run_config=_QUIET)


def bring_up_to_date(sources: Iterable[str]) -> dict[str, str]:
    """Refresh sources and what follows from their records; what did not change costs next to nothing.

    Returns:
        The sources that failed, and why; all the rest is up to date.

    Raises:
        InputError: a source is unknown; or all fail, because of their contracts or of files that can't be located.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    with ExitStack() as validating:
        validating.enter_context(second_process())
        contracts, failed = _read(dict.fromkeys(sources))
        files = _locate(contracts, failed)
        contracts = {source: contracts[source] for source in files}
        same = settled(get_lake(), contracts, files)
        if len(same) == len(contracts):
            validating.close()  # there is nothing to validate
        return failed | refresh_sources(list(contracts), same)


def refresh_sources(sources: Sequence[str], same: Sequence[str]) -> dict[str, str]:
    """Refresh sources and what follows from their records.

    Args:
        sources: their names.
        same: those of them that need no run if the Dagster instance has their content on record; a step costs
            it 0.4 s.

    Returns:
        The sources that failed, and why; all the rest is up to date.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    import dagster as dg  # deferred: 3 s

    from matstrata.pipelines.defs.materials import materials_asset
    from matstrata.pipelines.defs.resources import EXECUTOR, resources
    from matstrata.pipelines.defs.sources import observations_asset, record_unchanged
    from matstrata.pipelines.defs.structures import structures_asset

    with _interruptible(), dg.DagsterInstance.get() as instance:
        recorded = record_unchanged(instance, get_lake(), same)
        due = [get_contract(source) for source in sources if source not in recorded]
        assets = [*(observations_asset(contract) for contract in due), materials_asset(known_sources())]
        if any(get_contract(source).columns.structure for source in sources):
            assets.append(structures_asset(sound_contracts()))
        result = (
            dg.Definitions(assets=assets, resources=resources(), executor=EXECUTOR)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(instance=instance, raise_on_error=False, run_config=_QUIET)
        )
    failed = {}
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error is not None and error.cause is not None else error
            message = "" if cause is None else cause.message.strip().partition(": ")[2]
            failed[(event.step_key or "").removeprefix("observations__")] = message
    return failed


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end the block by KeyboardInterrupt, though Dagster takes both for its own error."""
    from dagster import DagsterExecutionInterruptedError

    try:
        yield
    except DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    interrupts.stop_if_signaled()  # without `raise_on_error` Dagster records it and goes on


def _read(sources: Iterable[str]) -> tuple[dict[str, Contract], dict[str, str]]:
    """The contracts of sources, and those that are not valid, with what is wrong."""
    contracts: dict[str, Contract] = {}
    failed: dict[str, str] = {}
    for source in sources:
        try:
            contracts[source] = get_contract(source)
        except InputError as error:
            if source not in known_sources():
                raise
            failed[source] = str(error)
    if failed and not contracts:
        raise InputError("; ".join(failed.values()))
    return contracts, failed


def _locate(contracts: Mapping[str, Contract], failed: dict[str, str]) -> Mapping[str, tuple[SourceFile, ...]]:
    """The files of all sources that have theirs; the rest is added to `failed`, with the reason."""
    while True:
        sound = [source for source in contracts if source not in failed]
        try:
            return locate_sources(sound)
        except UnlocatedError as error:
            failed |= error.reasons
            if not contracts.keys() - failed.keys():
                raise
