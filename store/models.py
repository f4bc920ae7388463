"""The registry of models: how each was trained, how well it did, what it predicts.

Not here: training and predicting (`pipelines.learning`), nor the format of a model file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.schemas.terms import Metric, Setting, Split, Subset
from matstrata.store.features.versions import described, versions
from matstrata.store.lake.lake import Lake, Transaction
from matstrata.store.lake.signatures import signature

WRITES = (
    "training_sets", "models", "model_metrics", "out_of_fold", "learning_curves", "importances", "effects",
    "predictions",
)  # written by learning, and never read to make a training set  # fmt: skip
DECIDING_PROTOCOL = Split.GROUPED_KFOLD
ERROR_TOLERANCE = 0.01  # relative: the choice of folds and seeds moves an error by about as much


def find(lake: Lake, model_id: str) -> Mapping[str, Any] | None:
    """The `models` row with this id, provided that its file is there too."""
    rows = _rows(lake, "SELECT * FROM models WHERE model_id = ?", [model_id])
    return rows[0] if rows and lake.files.exists(rows[0]["path"]) else None


def serving(lake: Lake, property_name: str | None = None) -> Mapping[str, Any]:
    """The ensemble that predicts a property; without a property, the only ensemble in the store.

    Raises:
        InputError: There is none yet, or there are several and none was named.
    """
    rows = _rows(lake, "SELECT * FROM models WHERE source IS NULL AND serving ORDER BY property", [])
    names = [row["property"] for row in rows]
    if property_name is None and len(rows) > 1:
        raise InputError(f"several properties can be predicted; name one with --property: {', '.join(names)}")
    matching = [row for row in rows if property_name in (None, row["property"])]
    if not matching:
        available = f"; there are models of {', '.join(names)}" if names else ""
        raise InputError(
            f"no model predicts {property_name or 'anything'} yet{available}; train one with 'matstrata run'"
        )
    return matching[0]


def model_path(model_id: str) -> str:
    """The name of a model's file in `Lake.files`."""
    return f"models/{model_id}.skops"


def content(lake: Lake, model: Mapping[str, Any]) -> tuple[bytes, str]:
    """The content of a registered model's file, and its address.

    Raises:
        InputError: The file is gone.
    """
    address = lake.files.url(model["path"])
    try:
        return lake.files.read(model["path"]), address
    except FileNotFoundError as error:
        raise InputError(f"the model file {address} is gone; train the model again with 'matstrata run'") from error


def record(
    lake: Lake,
    model: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]] = (),
    out_of_fold: Sequence[Mapping[str, Any]] = (),
    details: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> None:
    """Register a model with its evaluation; a serving one takes the place of its predecessor.

    Args:
        lake: The store.
        model: A row of `models`; a model of the same id is replaced.
        metrics: Rows of `model_metrics`.
        out_of_fold: Rows of `out_of_fold`.
        details: Rows of further tables about the model, by table.
    """
    name = f"{model['property']}/{model['source']}" if model["source"] else model["property"]
    with lake.commit(f"train model {name}", {"model_id": model["model_id"]}) as transaction:
        if model["serving"]:
            _retire(transaction, model)
        rows_by_table = {"models": [model], "model_metrics": metrics, "out_of_fold": out_of_fold, **details}
        for table, rows in rows_by_table.items():
            transaction.con.execute(f"DELETE FROM {table} WHERE model_id = ?", [model["model_id"]])
            transaction.insert(
                table, pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[table].arrow_schema)
            )


def promote(lake: Lake, model: Mapping[str, Any]) -> None:
    """Let a registered model serve its property and source, in place of the one that does."""
    with lake.commit(f"promote model {model['model_id']}", {"model_id": model["model_id"]}) as transaction:
        _retire(transaction, model)
        transaction.con.execute(
            "UPDATE models SET serving = true, withdrawn = false WHERE model_id = ?", [model["model_id"]]
        )


def rollback(lake: Lake, property_name: str) -> Mapping[str, Any]:
    """Withdraw the serving ensemble, and let the one made before it serve; returns the latter.

    Raises:
        InputError: No ensemble of the property serves, or there is no earlier one whose file exists.
    """
    current = serving(lake, property_name)
    earlier = [
        row
        for row in listing(lake, property_name)
        if row["source"] is None and row["created_at"] < current["created_at"] and lake.files.exists(row["path"])
    ]
    if not earlier:
        raise InputError(
            f"there is no ensemble of {property_name} older than {current['model_id']}, so nothing to roll back to"
        )
    before = max(earlier, key=lambda row: row["created_at"])
    with lake.commit(f"roll back model {current['model_id']}", {"model_id": before["model_id"]}) as transaction:
        con = transaction.con
        con.execute("UPDATE models SET serving = false, withdrawn = true WHERE model_id = ?", [current["model_id"]])
        con.execute("UPDATE models SET serving = true, withdrawn = false WHERE model_id = ?", [before["model_id"]])
    return before


def listing(lake: Lake, property_name: str | None = None) -> list[dict[str, Any]]:
    """All models, or those of a property, the newest first: rows of `models`."""
    rows = _rows(lake, "SELECT * FROM models ORDER BY property, created_at DESC, model_id", [])
    return [row for row in rows if property_name in (None, row["property"])]


def match(lake: Lake, beginning: str) -> Mapping[str, Any]:
    """The one model whose id begins with a text.

    Raises:
        InputError: There is none, or there are several.
    """
    matching = [row for row in listing(lake) if row["model_id"].startswith(beginning)]
    if len(matching) != 1:
        count = f"{len(matching)} models have" if matching else "no model has"
        raise InputError(f"{count} an id that begins with {beginning!r}; 'matstrata models list' shows the ids")
    return matching[0]


def all_metrics(lake: Lake, model_id: str) -> list[dict[str, Any]]:
    """All figures of a model: rows of `model_metrics`."""
    return _rows(lake, "SELECT * FROM model_metrics WHERE model_id = ? ORDER BY ALL", [model_id])


def deciding_error(lake: Lake, model_id: str) -> float | None:
    """The figure by which ensembles replace each other: the grouped out-of-fold error, with computed values.

    Without computed values where no source has any; None for a model that was not evaluated.
    """
    errors = {
        row["setting"]: row["value"]
        for row in metrics(lake, model_id, protocol=DECIDING_PROTOCOL, subset=Subset.ALL)
        if row["metric"] == Metric.MAE
    }
    return errors.get(Setting.KNOWN_DFT, errors.get(Setting.WITHOUT_DFT))


def may_serve(lake: Lake, candidate: str, property_name: str) -> bool:
    """Whether an ensemble may take the serving one's place: only if it is not worse by more than `ERROR_TOLERANCE`.

    In any case it may where the serving one can't go on, as the code no longer computes the features that it was
    trained on, or where it is the older of the two: a change of code or data was taken back.
    """
    ensembles = {row["model_id"]: row for row in listing(lake, property_name) if row["source"] is None}
    serving_row = next((row for row in ensembles.values() if row["serving"]), None)
    if serving_row is None or serving_row["model_id"] == candidate:
        return True
    if ensembles[candidate]["created_at"] < serving_row["created_at"] or not _is_current(lake, serving_row["features"]):
        return True
    new, old = deciding_error(lake, candidate), deciding_error(lake, serving_row["model_id"])
    return new is None or old is None or new <= old * (1 + ERROR_TOLERANCE)


def _is_current(lake: Lake, features: Sequence[str]) -> bool:
    """Whether these versions of feature sets are those that their names stand for."""
    with lake.reader() as con:
        stored = versions(con, "name, version, current, deprecated")
    return not any(stored[label]["current"] is False for label in features if label in stored)


def unpredicted(lake: Lake, model_id: str, features: Sequence[str]) -> pa.Table:
    """The materials with descriptors that a model has not predicted yet: `material_id`, then the descriptors."""
    first, *further = features
    joins = " ".join(f"JOIN {described(version)} USING (material_id)" for version in further)
    with lake.reader() as con:
        return con.execute(
            f"SELECT * FROM {described(first)} {joins} "
            "ANTI JOIN (FROM predictions WHERE model_id = ?) p USING (material_id) ORDER BY material_id",
            [model_id],
        ).to_arrow_table()


def replace_predictions(lake: Lake, property_name: str, model_id: str, rows: pa.Table) -> int:
    """Add a model's predictions, and drop those of its predecessors for the property. Returns the snapshot."""
    with lake.commit(f"predict {property_name}", {"model_id": model_id, "rows": rows.num_rows}) as transaction:
        transaction.con.execute(
            "DELETE FROM predictions WHERE property = ? AND model_id <> ?", [property_name, model_id]
        )
        transaction.insert("predictions", rows)
    return transaction.snapshot


def metrics(lake: Lake, model_id: str, *, protocol: str, subset: str) -> list[dict[str, Any]]:
    """A model's figures under one protocol and for one subset: rows of `model_metrics`."""
    return _rows(
        lake,
        "SELECT * FROM model_metrics WHERE model_id = ? AND protocol = ? AND subset = ? ORDER BY ALL",
        [model_id, protocol, subset],
    )


def predictions_summary(lake: Lake, property_name: str) -> tuple[int, str]:
    """The number of predicted materials, and a hash that is the same for the same model and materials."""
    summary = _rows(
        lake,
        "SELECT count(*) AS n, bit_xor(md5_number(model_id || material_id)) AS x FROM predictions WHERE property = ?",
        [property_name],
    )[0]
    return summary["n"], signature(summary["n"], summary["x"])


def _retire(transaction: Transaction, model: Mapping[str, Any]) -> None:
    transaction.con.execute(
        "UPDATE models SET serving = false WHERE property = ? AND source IS NOT DISTINCT FROM ? AND serving",
        [model["property"], model["source"]],
    )


def _rows(lake: Lake, statement: str, values: list[Any]) -> list[dict[str, Any]]:
    with lake.reader() as con:
        return con.execute(statement, values).to_arrow_table().to_pylist()
