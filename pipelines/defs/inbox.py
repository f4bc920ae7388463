"""The sensor that watches the inbox, and the jobs that take in the files dropped there.

Not here: what is done with a file (`pipelines.ingest.inbox`).
"""

# no `from __future__ import annotations`: Dagster looks at the type of `config` itself, not at its name
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.ingest.inbox import draft_contract, take_in, undescribed_files, waiting_contracts
from matstrata.store.settings import Settings


class DroppedFile(dg.Config):
    """A file that was dropped into the inbox."""

    file: str


@dg.op
def take_in_contract(context: dg.OpExecutionContext, config: DroppedFile, store: StoreResource) -> None:
    """Ingest a dropped contract; a refused one fails the run, and its reason is written next to it."""
    settings = Settings()
    done = take_in(store.lake(), Path(config.file), cache=settings.cache, mirrors=settings.mirror)
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


@dg.op
def draft_dropped_file(context: dg.OpExecutionContext, config: DroppedFile) -> None:
    """Draft the contract of a data file that was dropped without one."""
    context.add_output_metadata({"draft": dg.MetadataValue.path(draft_contract(Path(config.file)))})


@dg.job(description="Takes in a contract that was dropped into the inbox.")
def inbox() -> None:
    """One contract per run."""
    take_in_contract()


@dg.job(description="Drafts the contract of a data file that was dropped into the inbox without one.")
def inbox_drafts() -> None:
    """One file per run."""
    draft_dropped_file()


@dg.sensor(
    jobs=[inbox, inbox_drafts],
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox folder: takes in each contract (NAME.yaml), drafts one for a file that has none.",
)
def inbox_sensor() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request one run for each contract that waits, and for each file without one."""
    folder = Settings().inbox
    contracts, files = waiting_contracts(folder), undescribed_files(folder)
    if not contracts and not files:
        yield dg.SkipReason(f"no contract (NAME.yaml) and no new data file waits in {folder}")
    requests = [(inbox, take_in_contract, path) for path in contracts]
    for job, op, path in [*requests, *((inbox_drafts, draft_dropped_file, path) for path in files)]:
        yield dg.RunRequest(
            run_key=f"{path}:{path.stat().st_mtime_ns}",
            job_name=job.name,
            run_config={"ops": {op.name: {"config": {"file": str(path)}}}},
        )
