"""From the store and back: training sets in; models, metrics and predictions out, each made only where it is missing.

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
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from matstrata.pipelines.learning import persistence
from matstrata.pipelines.learning.evaluation.evaluation import Evaluation, Metrics
from matstrata.pipelines.learning.models.network import teach_networks
from matstrata.pipelines.learning.models.source_models import SourceModel, train_source_model
from matstrata.pipelines.learning.samples import Samples, known_values
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble
from matstrata.pipelines.learning.stack.intervals import FURTHER
from matstrata.pipelines.learning.training import fit_ensemble
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store import models
from matstrata.store.datasets.training_sets import TrainingSet, freeze, select
from matstrata.store.lake.lake import Lake, newest_change
from matstrata.store.lake.signatures import code_signature, signature
from matstrata.store.records.noise import replicate_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matstrata.pipelines.learning.stack.level1 import Helper

log = logging.getLogger("matstrata.learning")

SEED = 0
_BATCH = 20_000
_FIGURES = ("n", "mae", "rmse", "r2", "coverage_90", "width_90")


@dataclass(frozen=True, slots=True)
class Trained:
    """A model in the registry; `anew` is false where it was there already."""

    model_id: str
    anew: bool


def training_sets(lake: Lake, spec: EnsembleSpec) -> Mapping[str, TrainingSet]:
    """Freeze the training set of each source of an ensemble, all from one snapshot.

    Raises:
        InputError: a source has no labels yet.
    """
    sets = _select(lake, spec)
    for training_set in sets.values():
        freeze(lake, spec.name, training_set)
    return sets


def train_source(lake: Lake, spec: EnsembleSpec, source: str) -> Trained:
    """Train the model of one source alone, unless it is there.

    A helper's model is blind to every group of the target. The target's is judged with the ensemble: `without_dft`.
    """
    sets = _select(lake, spec)
    training_set, target = sets[source], sets[spec.target]
    is_target = source == spec.target
    blind = [] if is_target else sorted(set(target.table["group_id"].to_pylist()))
    model_id = _model_id("source", spec.name, training_set.training_set_id, blind)
    if _is_there(lake, model_id):
        return Trained(model_id, anew=False)
    samples = samples_of(training_set, spec)
    log.info("%s: training the model of %s on %s materials", spec.name, source, f"{len(samples):,}")
    if is_target:
        stack = train_ensemble(samples, [], [], _bounds(spec), SEED)
        _register(lake, spec, stack, model_id, training_set, source, {"weights": stack.weights()}, [])
    else:
        model = train_source_model(samples, np.array(blind), SEED)
        parameters = {"materials": model.n_rows, "blind to groups": len(blind), "models": dict(model.chosen)}
        _register(lake, spec, model, model_id, training_set, source, parameters, [])
    return Trained(model_id, anew=True)


def train(lake: Lake, spec: EnsembleSpec) -> Trained:
    """Evaluate, fit and register the ensemble, unless it is there. Its source models must be."""
    sets = _select(lake, spec)
    target = sets[spec.target]
    blind = sorted(set(target.table["group_id"].to_pylist()))
    helper_ids = [_model_id("source", spec.name, sets[source].training_set_id, blind) for source in spec.helpers]
    model_id = _model_id("ensemble", spec.name, target.training_set_id, helper_ids)
    if _is_there(lake, model_id):
        return Trained(model_id, anew=False)
    helpers: list[Helper] = [load_source_model(lake, helper_id) for helper_id in helper_ids]
    samples = samples_of(target, spec)
    helper_samples = [samples_of(sets[source], spec) for source in spec.helpers]
    del sets
    _select_at.cache_clear()  # gigabytes for which nobody asks again
    helpers += teach_networks(helper_samples, samples.group_ids, SEED)
    helper_samples = [each.undescribed() for each in helper_samples]
    fitted = fit_ensemble(
        spec.name, samples, helpers, helper_samples, target.descriptors, _bounds(spec), spec.predicts.zero_class, SEED
    )
    parameters = {"weights": fitted.model.weights(), "helpers": dict(zip(spec.helpers, helper_ids, strict=True))}
    _register(lake, spec, fitted.model, model_id, target, None, parameters, fitted.evaluations, fitted.details)
    return Trained(model_id, anew=True)


def predict_materials(lake: Lake, spec: EnsembleSpec) -> int:
    """Predict every described material that the serving ensemble has not predicted yet. Returns how many it did."""
    serving = models.serving(lake, spec.name)
    waiting = models.unpredicted(lake, serving["model_id"], serving["features"])
    descriptors = waiting.column_names[1:]
    features = _matrix(waiting, descriptors)
    described = ~np.isnan(features).all(axis=1)
    if not described.any():
        return 0
    log.info("%s: predicting %s materials", spec.name, f"{described.sum():,}")
    ensemble = load_ensemble(lake, serving)
    material_ids = np.array(waiting["material_id"].to_pylist(), dtype=str)[described]
    del waiting  # as large as the features
    features = features if described.all() else features[described]
    known = {helper.source: known_values(helper, material_ids) for helper in stored_samples(lake, spec)}
    predicted = []
    for start in range(0, len(material_ids), _BATCH):
        part = slice(start, start + _BATCH)
        said = ensemble.predict(
            features[part], material_ids[part], {source: values[part] for source, values in known.items()}
        )
        predicted.append(
            pa.table(
                {
                    "model_id": [serving["model_id"]] * len(said.values),
                    "property": [spec.name] * len(said.values),
                    "material_id": said.material_ids.tolist(),
                    "value": said.values,
                    "lower_90": said.lower,
                    "upper_90": said.upper,
                    "in_domain": said.in_domain,
                },
                schema=TABLES["predictions"].arrow_schema,
            )
        )
    models.replace_predictions(lake, spec.name, serving["model_id"], pa.concat_tables(predicted))
    return len(material_ids)


def load_source_model(lake: Lake, model_id: str) -> SourceModel:
    """The helper model with this id.

    Raises:
        InputError: it is not in the registry, or its file is not the one recorded.
    """
    row = models.find(lake, model_id)
    if row is None:
        raise InputError(f"source model {model_id} is not in the store; train the source models first")
    model = persistence.loads(*models.content(lake, row), row["file_sha256"])
    if not isinstance(model, SourceModel):
        raise InputError(f"{row['path']} holds no source model; train it again")
    return model


def load_ensemble(lake: Lake, row: Mapping[str, Any]) -> Ensemble:
    """The ensemble of a `models` row.

    Raises:
        InputError: its file is not the one recorded.
    """
    model = persistence.loads(*models.content(lake, row), row["file_sha256"])
    if not isinstance(model, Ensemble):
        raise InputError(f"{row['path']} holds no ensemble; train it again")
    return model


def stored_samples(lake: Lake, spec: EnsembleSpec) -> list[Samples]:
    """What the helper sources computed, without descriptors: for looking up known values."""
    with lake.reader() as con:
        return [samples_of(select_source(con, spec, source, ()), spec) for source in spec.helpers]


def select_source(
    con: duckdb.DuckDBPyConnection, spec: EnsembleSpec, source: str, features: Iterable[str]
) -> TrainingSet:
    """The training set of one source of an ensemble as `con` sees the store: of a helper, all that it reports."""
    if source == spec.target:
        properties = [spec.name]
    else:
        name, _, method = source.partition(":")
        found = con.execute(
            "SELECT DISTINCT property FROM labels WHERE source = ? AND (? = '' OR method = ?) ORDER BY 1",
            [name, method, method],
        )
        properties = [each for (each,) in found.fetchall()]
    return select(con, source, properties, tuple(features))


def known_of(lake: Lake, helpers: Iterable[SourceModel], material_ids: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """What computed sources hold about some materials: for each source (m, p), NaN where it holds nothing.

    Asked in the store, as a source may have hundreds of thousands of materials; by literals, since binding parameters
    imports pandas (0.5 s).
    """
    wanted = list(material_ids)
    rows = {material: row for row, material in enumerate(wanted)}
    listed = ", ".join(f"'{material}'" for material in wanted)  # formulas: letters and digits
    found: dict[str, NDArray[np.float64]] = {}
    places: dict[tuple[str, str], list[tuple[str, NDArray[np.float64]]]] = {}
    for helper in helpers:
        found[helper.source] = np.full((len(wanted), len(helper.properties)), np.nan)
        name, _, method = helper.source.partition(":")
        for column, property_name in enumerate(helper.properties):
            places.setdefault((name, property_name), []).append((method, found[helper.source][:, column]))
    sources = ", ".join(f"'{name}'" for name in sorted({name for name, _ in places})) or "''"
    with lake.reader() as con:
        labels = con.execute(
            "SELECT source, method, property, material_id, value FROM labels "
            f"WHERE source IN ({sources}) AND material_id IN ({listed})"
        ).fetchall()
    for name, method, property_name, material, value in labels:
        for asked, values in places.get((name, property_name), ()):
            if asked in ("", method):
                values[rows[material]] = value
    return found


def samples_of(training_set: TrainingSet, spec: EnsembleSpec) -> Samples:
    """A training set as arrays, without materials that have no descriptor at all."""
    table = training_set.table
    features = _matrix(table, training_set.descriptors)
    described = ~np.isnan(features).all(axis=1) if training_set.descriptors else np.ones(len(features), dtype=bool)
    keys = {
        name: np.array(table[name].to_pylist(), dtype=str) for name in ("material_id", "group_id", "chemical_system")
    }
    return Samples(
        source=training_set.source,
        kind="experiment" if training_set.source == spec.target else "computation",
        properties=training_set.properties,
        material_ids=keys["material_id"][described],
        group_ids=keys["group_id"][described],
        chemical_systems=keys["chemical_system"][described],
        features=features[described],
        values=_matrix(table, training_set.properties)[described],
        widths=training_set.widths,
    )


def _select(lake: Lake, spec: EnsembleSpec) -> Mapping[str, TrainingSet]:
    with lake.reader() as con:
        snapshot, time = newest_change(con, models.WRITES)
    return _select_at(lake, spec, snapshot, time)


@lru_cache(maxsize=1)  # the assets of one run ask for the same 1 to 10 s of work
def _select_at(lake: Lake, spec: EnsembleSpec, snapshot: int, _time: datetime) -> Mapping[str, TrainingSet]:
    """The training sets at a snapshot; its time tells stores apart that lay in the same folder one after another."""
    with lake.reader(snapshot) as con:
        return MappingProxyType({source: select_source(con, spec, source, spec.features) for source in spec.sources})


def _matrix(table: pa.Table, columns: Iterable[str]) -> NDArray[np.float64]:
    arrays = [table[name].to_numpy().astype(np.float64) for name in columns]
    return np.column_stack(arrays) if arrays else np.empty((table.num_rows, 0))


def _bounds(spec: EnsembleSpec) -> tuple[float, float]:
    return spec.predicts.lower, spec.predicts.upper


def _model_id(*parts: Any) -> str:
    return signature(_learning_code(), SEED, *parts)[:16]


@lru_cache(maxsize=1)
def _learning_code() -> str:
    boosting = "xgboost" if sys.platform == "darwin" else "xgboost-cpu"
    libraries = [version(name) for name in ("scikit-learn", boosting, "crepes", "numpy")]
    return signature(code_signature([Path(__file__).parent]), libraries)


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
        metrics += [figure for found in evaluation.metrics for figure in _figures(model_id, found)]
        out_of_fold += _out_of_fold(model_id, evaluation)
    noise = replicate_noise(lake, training_set.source, spec.name)
    if noise is not None and metrics:
        metrics.append(
            {
                "model_id": model_id,
                "protocol": "replicates",
                "setting": "measurement",
                "subset": "all",
                "metric": "pooled_sd",
                "value": noise,
            }
        )
    about = {table: [{"model_id": model_id, **each} for each in rows] for table, rows in details.items()}
    models.record(lake, row, metrics, out_of_fold, about)
    if source is None and models.may_serve(lake, model_id, spec.name):
        models.promote(lake, row)


def _figures(model_id: str, found: Metrics) -> list[dict[str, Any]]:
    values = {name: float(getattr(found, name)) for name in _FIGURES}
    values |= {f"coverage_{100 * level:.0f}": share for level, share in zip(FURTHER, found.further, strict=True)}
    keys = {"model_id": model_id, "protocol": found.protocol, "setting": found.model, "subset": found.subset}
    return [{**keys, "metric": name, "value": value} for name, value in values.items() if not np.isnan(value)]


def _out_of_fold(model_id: str, evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "model_id": model_id,
            "protocol": held.protocol,
            "setting": held.model,
            "material_id": material_id,
            "measured": measured,
            "value": value,
            "lower_90": None if np.isnan(lower) else lower,
            "upper_90": None if np.isnan(upper) else upper,
            "in_domain": in_domain,
        }
        for held in evaluation.held_out.values()
        for material_id, measured, value, lower, upper, in_domain in zip(
            held.material_ids.tolist(),
            held.measured.tolist(),
            held.values.tolist(),
            held.lower.tolist(),
            held.upper.tolist(),
            held.in_domain.tolist(),
            strict=True,
        )
    ]
