"""From the store and back: training sets in; models, metrics and predictions out, each computed only if missing.

Not here: the learning itself, which is pure (the other modules of this package).
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from matstrata.pipelines.learning import persistence
from matstrata.pipelines.learning.evaluation.evaluation import Evaluation
from matstrata.pipelines.learning.evaluation.table_rows import metric_rows, noise_row, out_of_fold_rows
from matstrata.pipelines.learning.models.network import train_networks
from matstrata.pipelines.learning.models.source_models import SourceModel, train_source_model
from matstrata.pipelines.learning.samples import Samples, computed_values
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble
from matstrata.pipelines.learning.training import fit_ensemble
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.errors import InputError
from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.tables import TABLES
from matstrata.schemas.terms import Kind
from matstrata.store import models
from matstrata.store.datasets.frozen import freeze
from matstrata.store.datasets.training_sets import TrainingSet, select
from matstrata.store.lake.lake import Lake, newest_change
from matstrata.store.lake.signatures import code_signature, signature
from matstrata.store.lake.sql import literals
from matstrata.store.records.noise import replicate_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.inputs import Helper

log = logging.getLogger("matstrata.learning")

SEED = 0
PREDICTED_AT_ONCE = 20_000  # materials


@dataclass(frozen=True, slots=True)
class Trained:
    """A model in the registry.

    Attributes:
        model_id: Its id.
        is_new: Whether it was trained now; false where it was registered before.
    """

    model_id: str
    is_new: bool


def training_sets(lake: Lake, spec: EnsembleSpec) -> Mapping[str, TrainingSet]:
    """Freeze the training set of each source of an ensemble, all from one snapshot.

    Raises:
        InputError: A source has no labels yet.
    """
    sets = _select(lake, spec)
    for training_set in sets.values():
        freeze(lake, spec.name, training_set)
    return sets


def train_source(lake: Lake, spec: EnsembleSpec, source: str) -> Trained:
    """Train the model of one source alone, unless it is registered already.

    A helper's model is blind to every group of the target. The target's own is evaluated with the ensemble, in the
    setting `without_dft`.

    Raises:
        InputError: A source has no labels yet.
    """
    sets = _select(lake, spec)
    training_set, target = sets[source], sets[spec.target]
    is_target = source == spec.target
    blind = [] if is_target else sorted(set(target.table["group_id"].to_pylist()))
    model_id = _model_id(spec, "source", training_set.training_set_id, blind)
    if _is_there(lake, model_id):
        return Trained(model_id, is_new=False)
    samples = samples_of(training_set, Kind.EXPERIMENT if is_target else Kind.COMPUTATION)
    log.info("%s: training the model of %s on %s materials", spec.name, source, f"{len(samples):,}")
    if is_target:
        stack = train_ensemble(samples, [], [], _bounds(spec), SEED)
        _register(lake, spec, stack, model_id, training_set, source, {"weights": stack.weights()}, [])
    else:
        model = train_source_model(samples, np.array(blind), SEED)
        parameters = {"materials": model.n_rows, "blind to groups": len(blind), "models": dict(model.kinds)}
        _register(lake, spec, model, model_id, training_set, source, parameters, [])
    return Trained(model_id, is_new=True)


def train(lake: Lake, spec: EnsembleSpec) -> Trained:
    """Evaluate, fit and register the ensemble, unless it is registered already.

    Raises:
        InputError: A source has no labels yet, or a source model has not been trained.
    """
    sets = _select(lake, spec)
    target = sets[spec.target]
    blind = sorted(set(target.table["group_id"].to_pylist()))
    helper_ids = [_model_id(spec, "source", sets[source].training_set_id, blind) for source in spec.helpers]
    model_id = _model_id(spec, "ensemble", target.training_set_id, helper_ids)
    if _is_there(lake, model_id):
        return Trained(model_id, is_new=False)
    helpers: list[Helper] = [load_source_model(lake, helper_id) for helper_id in helper_ids]
    samples = samples_of(target, Kind.EXPERIMENT)
    helper_samples = [samples_of(sets[source], Kind.COMPUTATION) for source in spec.helpers]
    del sets
    _select_at.cache_clear()  # gigabytes that are not needed again
    helpers += train_networks(helper_samples, samples.group_ids, SEED)
    helper_samples = [each.without_descriptors() for each in helper_samples]
    fitted = fit_ensemble(
        spec.name, samples, helpers, helper_samples, target.descriptors, _bounds(spec), spec.predicts.zero_class, SEED
    )
    parameters = {"weights": fitted.model.weights(), "helpers": dict(zip(spec.helpers, helper_ids, strict=True))}
    _register(lake, spec, fitted.model, model_id, target, None, parameters, fitted.evaluations, fitted.details)
    return Trained(model_id, is_new=True)


def predict_materials(lake: Lake, spec: EnsembleSpec) -> int:
    """Predict every material with descriptors that the serving ensemble has not predicted yet; returns their number."""
    serving = models.serving(lake, spec.name)
    unpredicted = models.unpredicted(lake, serving["model_id"], serving["features"])
    descriptors = unpredicted.column_names[1:]
    features = _matrix(unpredicted, descriptors)
    has_descriptors = ~np.isnan(features).all(axis=1)
    if not has_descriptors.any():
        return 0
    log.info("%s: predicting %s materials", spec.name, f"{has_descriptors.sum():,}")
    ensemble = load_ensemble(lake, serving)
    material_ids = np.array(unpredicted["material_id"].to_pylist(), dtype=str)[has_descriptors]
    del unpredicted  # as large as the features
    features = features if has_descriptors.all() else features[has_descriptors]
    computed = {helper.source: computed_values(helper, material_ids) for helper in stored_samples(lake, spec)}
    tables = []
    for start in range(0, len(material_ids), PREDICTED_AT_ONCE):
        part = slice(start, start + PREDICTED_AT_ONCE)
        predictions = ensemble.predict(
            features[part], material_ids[part], {source: values[part] for source, values in computed.items()}
        )
        tables.append(
            pa.table(
                {
                    "model_id": [serving["model_id"]] * len(predictions.values),
                    "property": [spec.name] * len(predictions.values),
                    "material_id": predictions.material_ids.tolist(),
                    "value": predictions.values,
                    "lower_90": predictions.lower,
                    "upper_90": predictions.upper,
                    "in_domain": predictions.in_domain,
                },
                schema=TABLES["predictions"].arrow_schema,
            )
        )
    models.replace_predictions(lake, spec.name, serving["model_id"], pa.concat_tables(tables))
    return len(material_ids)


def load_source_model(lake: Lake, model_id: str) -> SourceModel:
    """Load the helper model with this id.

    Raises:
        InputError: It is not registered, or its file is not the one recorded.
    """
    row = models.find(lake, model_id)
    if row is None:
        raise InputError(f"source model {model_id} is not in the store; train the source models first")
    model = persistence.loads(*models.content(lake, row), row["file_sha256"])
    if not isinstance(model, SourceModel):
        raise InputError(f"the file {row['path']} does not contain a source model; train it again")
    return model


def load_ensemble(lake: Lake, row: Mapping[str, Any]) -> Ensemble:
    """Load the ensemble of a `models` row.

    Raises:
        InputError: Its file is not the one recorded.
    """
    model = persistence.loads(*models.content(lake, row), row["file_sha256"])
    if not isinstance(model, Ensemble):
        raise InputError(f"the file {row['path']} does not contain an ensemble; train it again")
    return model


def stored_samples(lake: Lake, spec: EnsembleSpec) -> list[Samples]:
    """Read the helper sources without descriptors, to look up computed values."""
    with lake.reader() as con:
        return [samples_of(select_source(con, spec, source, ()), Kind.COMPUTATION) for source in spec.helpers]


def select_source(
    con: duckdb.DuckDBPyConnection, spec: EnsembleSpec, source: str, features: Iterable[str]
) -> TrainingSet:
    """Select the training set of one source of an ensemble.

    Args:
        con: The store, at the wanted snapshot.
        spec: The ensemble.
        source: The source; of a helper, all properties that it reports are selected.
        features: Names of the feature sets.

    Raises:
        InputError: The source has no labels yet.
    """
    if source == spec.target:
        properties = [spec.name]
    else:
        ref = SourceRef.parse(source)
        rows = con.execute(
            "SELECT DISTINCT property FROM labels WHERE source = ? AND (? = '' OR method = ?) ORDER BY 1",
            [ref.source, ref.method, ref.method],
        ).fetchall()
        properties = [name for (name,) in rows]
    return select(con, source, properties, tuple(features))


def computed_of(
    lake: Lake, helpers: Iterable[SourceModel], material_ids: Iterable[str]
) -> dict[str, NDArray[np.float64]]:
    """Look up the values that computed sources have of some materials.

    By a query, as a source may have hundreds of thousands of materials; with literals, since binding parameters imports
    pandas (0.5 s).

    Args:
        lake: The store.
        helpers: Models of the sources.
        material_ids: m materials.

    Returns:
        For each source (m, p), NaN where it has no value.
    """
    names = list(material_ids)
    row_of = {name: row for row, name in enumerate(names)}
    values: dict[str, NDArray[np.float64]] = {}
    columns: dict[tuple[str, str], list[tuple[str, NDArray[np.float64]]]] = {}
    for helper in helpers:
        values[helper.source] = np.full((len(names), len(helper.properties)), np.nan)
        ref = SourceRef.parse(helper.source)
        for column, property_name in enumerate(helper.properties):
            columns.setdefault((ref.source, property_name), []).append((ref.method, values[helper.source][:, column]))
    if not names or not columns:
        return values
    sources = sorted({source for source, _ in columns})
    with lake.reader() as con:
        labels = con.execute(
            "SELECT source, method, property, material_id, value FROM labels "
            f"WHERE source IN ({literals(sources)}) AND material_id IN ({literals(names)})"
        ).fetchall()
    for source, method, property_name, material_id, value in labels:
        for method_of_column, column_values in columns.get((source, property_name), ()):
            if method_of_column in ("", method):
                column_values[row_of[material_id]] = value
    return values


def samples_of(training_set: TrainingSet, kind: Kind) -> Samples:
    """Turn a training set into arrays, without materials that have no descriptor at all."""
    table = training_set.table
    features = _matrix(table, training_set.descriptors)
    rows = ~np.isnan(features).all(axis=1) if training_set.descriptors else np.ones(len(features), dtype=bool)
    keys = {
        name: np.array(table[name].to_pylist(), dtype=str) for name in ("material_id", "group_id", "chemical_system")
    }
    return Samples(
        source=training_set.source,
        kind=kind,
        properties=training_set.properties,
        material_ids=keys["material_id"][rows],
        group_ids=keys["group_id"][rows],
        chemical_systems=keys["chemical_system"][rows],
        features=features[rows],
        values=_matrix(table, training_set.properties)[rows],
        widths=training_set.widths,
    )


def _select(lake: Lake, spec: EnsembleSpec) -> Mapping[str, TrainingSet]:
    with lake.reader() as con:
        snapshot, time = newest_change(con, models.WRITES)
    return _select_at(lake, spec, snapshot, time)


@lru_cache(maxsize=1)  # the assets of one run need the same 1 to 10 s of work
def _select_at(lake: Lake, spec: EnsembleSpec, snapshot: int, _time: datetime) -> Mapping[str, TrainingSet]:
    """Select the training sets at a snapshot; its time distinguishes stores that one folder held one after another."""
    with lake.reader(snapshot) as con:
        return MappingProxyType({source: select_source(con, spec, source, spec.features) for source in spec.sources})


def _matrix(table: pa.Table, columns: Iterable[str]) -> NDArray[np.float64]:
    arrays = [table[name].to_numpy().astype(np.float64) for name in columns]
    return np.column_stack(arrays) if arrays else np.empty((table.num_rows, 0))


def _bounds(spec: EnsembleSpec) -> tuple[float, float]:
    return spec.predicts.lower, spec.predicts.upper


def _model_id(spec: EnsembleSpec, *parts: Any) -> str:
    return signature(_learning_code(), SEED, spec.name, _bounds(spec), spec.predicts.zero_class, *parts)[:16]


_DECIDING = (samples_of, train_source_model, train_networks, train_ensemble, fit_ensemble)
"""What decides a model's values and figures: from these on, all code counts that they refer to."""


@lru_cache(maxsize=1)
def _learning_code() -> str:
    boosting = "xgboost" if sys.platform == "darwin" else "xgboost-cpu"
    libraries = [version(name) for name in ("scikit-learn", boosting, "crepes", "numpy")]
    return signature(code_signature(_DECIDING), libraries)


def _is_there(lake: Lake, model_id: str) -> bool:
    row = models.find(lake, model_id)
    if row is None:
        return False
    allowed = row["source"] is not None or models.may_serve(lake, model_id, row["property"])
    if not row["serving"] and not row["withdrawn"] and allowed:
        models.promote(lake, row)
    return True


def _register(
    lake: Lake,
    spec: EnsembleSpec,
    model: Ensemble | SourceModel,
    model_id: str,
    training_set: TrainingSet,
    source: str | None,
    parameters: Mapping[str, Any],
    evaluations: Iterable[Evaluation],
    details: Mapping[str, list[dict[str, Any]]] = MappingProxyType({}),
) -> None:
    path = models.model_path(model_id)
    content = persistence.dumps(model)
    lake.files.write(path, content)
    row = {
        "model_id": model_id,
        "property": spec.name,
        "source": source,
        "training_set_id": training_set.training_set_id,
        "snapshot": training_set.snapshot,
        "features": list(training_set.features),
        "code_signature": _learning_code(),
        "seed": SEED,
        "parameters": json.dumps(parameters, sort_keys=True),
        "path": path,
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "serving": source is not None,
        "withdrawn": False,
        "created_at": datetime.now(UTC),
    }
    metrics, out_of_fold = [], []
    for evaluation in evaluations:
        metrics += metric_rows(model_id, evaluation)
        out_of_fold += out_of_fold_rows(model_id, evaluation)
    noise = replicate_noise(lake, training_set.source, spec.name)
    if noise is not None and metrics:
        metrics.append(noise_row(model_id, noise))
    about = {table: [{"model_id": model_id, **each} for each in rows] for table, rows in details.items()}
    models.record(lake, row, metrics, out_of_fold, about)
    if source is None and models.may_serve(lake, model_id, spec.name):
        models.promote(lake, row)
