"""The job that looks after the store, and its weekly schedule, which is off until someone switches it on.

Not here: what it does (`store.upkeep.maintenance`).
"""

from typing import Any

import dagster as dg

from matstrata.pipelines.defs.resources import StoreResource


@dg.op(description="Expire old snapshots, merge files, delete what nothing needs; what is pinned stays.")
def maintain_store(context: dg.OpExecutionContext, store: StoreResource) -> None:
    """As `matstrata maintain` with its defaults."""
    from matstrata.store.upkeep.maintenance import Policy, maintain

    done = maintain(store.lake(), Policy())
    metadata: dict[str, Any] = {
        "snapshots expired": len(done.expired),
        "snapshots kept": done.kept,
        "files merged": done.merged,
        "files deleted": done.deleted.files,
        "bytes freed": done.deleted.bytes,
    }
    context.add_output_metadata(metadata)


@dg.job(description="Looks after the store, as 'matstrata maintain' does.")
def maintenance() -> None:
    """One step."""
    maintain_store()


weekly_maintenance = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintenance,
    cron_schedule="0 4 * * 0",
    description="Sundays at four; off by default.",
)
