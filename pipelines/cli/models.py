"""The command `matstrata models`: what was trained, how well it does, and which one serves.

Not here: training (`pipelines.learning`), the registry of models (`store.models`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import get_lake, out, plain, print_json
from matstrata.pipelines.cli.options import AsJson, Wide, group
from matstrata.pipelines.cli.tables import print_grid, print_rows

models = group("List trained models, compare them, choose which one serves. A new ensemble serves if it is not worse.")

ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Id of a model, or its beginning.")]


@models.command("list")
def list_(
    property: Annotated[str | None, typer.Argument(metavar="PROPERTY", help="Only models of this.")] = None,
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List all models: ensembles (no source) and the models of single sources."""
    from matstrata.store import models as registry

    lake = get_lake()
    keys = ["model_id", "property", "source", "serving", "withdrawn", "snapshot", "created_at"]
    rows = [{**{key: row[key] for key in keys}, "mae": None} for row in registry.listing(lake, property)]
    for row in rows:
        row["mae"] = registry.deciding_error(lake, row["model_id"])
    if as_json:
        print_json(rows)
        return
    titles = ["model_id", "property", "source", "state", "created", "mae"]
    print_grid(out, titles, list(map(_line, rows)), wide=wide, least=("created", "property"))


@models.command()
def show(model: ModelId, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show a model: training set, snapshot, features, code, seed, weights, and every figure of its evaluation."""
    from matstrata.store import models as registry

    lake = get_lake()
    row = dict(registry.match(lake, model))
    figures = registry.all_metrics(lake, row["model_id"])
    row["parameters"] = json.loads(row["parameters"])
    if as_json:
        print_json({**row, "metrics": figures})
        return
    facts = [[key, value] for key, value in row.items() if key != "model_id"]
    print_grid(out, ["", row["model_id"]], facts, wide=wide)
    print_rows(out, ["protocol", "setting", "subset", "metric", "value"], figures, wide=wide, least=("protocol",))


@models.command()
def compare(first: ModelId, second: ModelId, *, wide: Wide = False, as_json: AsJson = False) -> None:
    """Compare two models by the figures that both have."""
    from matstrata.store import models as registry

    lake = get_lake()
    ids = [registry.match(lake, beginning)["model_id"] for beginning in (first, second)]
    keys = ("protocol", "setting", "subset", "metric")
    before, after = (
        {tuple(row[key] for key in keys): row["value"] for row in registry.all_metrics(lake, each)} for each in ids
    )
    rows = [[*key, before[key], after[key], after[key] - before[key]] for key in before if key in after]
    if as_json:
        names = [*keys, "first", "second", "difference"]
        print_json({"first": ids[0], "second": ids[1], "figures": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    titles = [*keys, ids[0][:8], ids[1][:8], "difference"]
    print_grid(out, titles, rows, wide=wide, least=("protocol",))


@models.command()
def promote(model: ModelId) -> None:
    """Let a model serve, whatever its figures are."""
    from matstrata.store import models as registry

    lake = get_lake()
    row = registry.match(lake, model)
    registry.promote(lake, row)
    out.print(
        f"{plain(row['model_id'])} serves {plain(row['property'])}; "
        f"'matstrata run {plain(row['property'])}' predicts with it."
    )


@models.command()
def rollback(property: Annotated[str, typer.Argument(metavar="PROPERTY", help="E.g. band_gap.")]) -> None:
    """Go back to the ensemble before the serving one, which will not serve again unless it is promoted."""
    from matstrata.store import models as registry

    row = registry.rollback(get_lake(), property)
    out.print(f"{plain(row['model_id'])} serves {plain(property)} again.")


def _line(row: dict[str, Any]) -> list[Any]:
    state = "serves" if row["serving"] else "withdrawn" if row["withdrawn"] else ""
    return [row["model_id"], row["property"], row["source"], state, row["created_at"], row["mae"]]
