"""The sensor that watches the inbox, and the job that takes in what was dropped there."""

# no `from __future__ import annotations`: Dagster looks at the type of `config` itself, not at its name
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from pipelines.defs.resources import StoreResource
from pipelines.ingest.inbox import take_in, waiting_contracts
from store.settings import Settings


class DroppedContract(dg.Config):
    """Which contract to take in."""

    contract: str


@dg.op
def take_in_contract(context: dg.OpExecutionContext, config: DroppedContract, store: StoreResource) -> None:
    """Ingest a dropped contract; a refused one fails the run, and its reason lies beside it."""
    settings = Settings()
    done = take_in(store.lake(), Path(config.contract), cache=settings.cache, mirrors=settings.mirror)
    if done.ingested is None:
        raise dg.Failure(done.reason, allow_retries=False)
    context.add_output_metadata(
        {
            "source": done.ingested.source,
            "records in": done.ingested.rows_in,
            "records accepted": done.ingested.rows_accepted,
            "records rejected": done.ingested.rows_rejected,
        }
    )


@dg.job(description="Takes in a contract that was dropped into the inbox.")
def inbox() -> None:
    """One contract per run."""
    take_in_contract()


@dg.sensor(
    job=inbox,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox folder for contracts (NAME.yaml) and takes each in once.",
)
def inbox_sensor() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request one run for each contract that waits."""
    folder = Settings().inbox
    waiting = waiting_contracts(folder)
    if not waiting:
        yield dg.SkipReason(f"no contract (NAME.yaml) waits in {folder}")
    for contract in waiting:
        yield dg.RunRequest(
            run_key=f"{contract}:{contract.stat().st_mtime_ns}",
            run_config={"ops": {"take_in_contract": {"config": {"contract": str(contract)}}}},
        )
