"""The command `matstrata models`: what was trained, how well it does, and which one serves."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from matstrata.pipelines.cli.console import out

models = typer.Typer(
    no_args_is_help=True,
    help="List trained models, compare them, choose which one serves. A new ensemble serves if it is not worse.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Id of a model, or its beginning.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@models.command("list")
def list_(
    property: Annotated[str | None, typer.Argument(metavar="[PROPERTY]", help="Only models of this.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List all models: ensembles (no source) and the models of single sources."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store import models as registry

    lake = _lake()
    keys = ["model_id", "property", "source", "serving", "withdrawn", "snapshot", "created_at"]
    rows = [{**{key: row[key] for key in keys}, "mae": None} for row in registry.listing(lake, property)]
    for row in rows:
        row["mae"] = registry.deciding_error(lake, row["model_id"])
    if as_json:
        _print_json(rows)
        return
    out.print(grid(["model_id", "property", "source", "state", "created", "mae"], list(map(_line, rows))))


@models.command()
def show(model: ModelId, *, as_json: AsJson = False) -> None:
    """Show a model: training set, snapshot, features, code, seed, weights, and every figure of its evaluation."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store import models as registry

    lake = _lake()
    row = dict(registry.match(lake, model))
    figures = registry.all_metrics(lake, row["model_id"])
    row["parameters"] = json.loads(row["parameters"])
    if as_json:
        _print_json({**row, "metrics": figures})
        return
    out.print(grid(["", row["model_id"]], [[key, str(value)] for key, value in row.items() if key != "model_id"]))
    keys = ["protocol", "setting", "subset", "metric", "value"]
    out.print(grid(keys, [[figure[key] for key in keys] for figure in figures]))


@models.command()
def compare(first: ModelId, second: ModelId, *, as_json: AsJson = False) -> None:
    """Compare two models by the figures that both have."""
    from matstrata.pipelines.cli.tables import grid
    from matstrata.store import models as registry

    lake = _lake()
    ids = [registry.match(lake, beginning)["model_id"] for beginning in (first, second)]
    keys = ("protocol", "setting", "subset", "metric")
    one, other = (
        {tuple(row[key] for key in keys): row["value"] for row in registry.all_metrics(lake, each)} for each in ids
    )
    rows = [[*key, one[key], other[key], other[key] - one[key]] for key in one if key in other]
    if as_json:
        names = [*keys, "first", "second", "difference"]
        _print_json(
            {"first": ids[0], "second": ids[1], "figures": [dict(zip(names, row, strict=True)) for row in rows]}
        )
        return
    out.print(grid([*keys, ids[0][:8], ids[1][:8], "difference"], rows))


@models.command()
def promote(model: ModelId) -> None:
    """Let a model serve, whatever its figures are."""
    from matstrata.store import models as registry

    lake = _lake()
    row = registry.match(lake, model)
    registry.promote(lake, row)
    out.print(f"{row['model_id']} serves {row['property']}; 'matstrata run {row['property']}' predicts by it.")


@models.command()
def rollback(property: Annotated[str, typer.Argument(metavar="PROPERTY", help="E.g. band_gap.")]) -> None:
    """Go back to the ensemble before the serving one, which will not serve again unless it is promoted."""
    from matstrata.store import models as registry

    row = registry.rollback(_lake(), property)
    out.print(f"{row['model_id']} serves {property} again.")


def _line(row: dict[str, Any]) -> list[Any]:
    state = "serves" if row["serving"] else "withdrawn" if row["withdrawn"] else ""
    error = None if row["mae"] is None else f"{row['mae']:.4g}"
    return [row["model_id"], row["property"], row["source"], state, f"{row['created_at']:%y-%m-%d %H:%M}", error]


def _lake() -> Any:
    from matstrata.store.lake.lake import Lake
    from matstrata.store.settings import Settings

    return Lake.of(Settings())


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
