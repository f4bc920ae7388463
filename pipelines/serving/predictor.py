"""Predictions of the serving ensemble for formulas: values with intervals, contributions and citations.

`Predictor.load("band_gap").predict(["GaN"])`. New compositions get the same descriptors by the same code as stored
ones, and are not written. Not here: training (`pipelines.learning`), the output of the command (`pipelines.cli`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.pipelines.learning.explanation import blocks_of, donors_of, effects
from matstrata.pipelines.learning.jobs import computed_of, load_ensemble
from matstrata.pipelines.learning.stack.ensemble import Contribution, Ensemble, Predictions
from matstrata.schemas.composition import Composition, FormulaError, parse_formula
from matstrata.schemas.display import formula_for_people
from matstrata.schemas.ensembles import EnsembleSpec, get_ensemble
from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.source_refs import SourceRef
from matstrata.schemas.tables import feature_label
from matstrata.schemas.terms import Kind
from matstrata.store import models
from matstrata.store.features.sets import FeatureSet, compute_for
from matstrata.store.lake.lake import Lake
from matstrata.store.records.noise import replicate_noise
from matstrata.store.settings import Settings

log = logging.getLogger("matstrata.serving")

_HALF_WIDTH_90 = 1.645  # half of a 90 % interval of a normal distribution, in standard deviations


@dataclass(frozen=True, slots=True)
class PropertyContribution:
    """A source model's prediction of one property.

    Attributes:
        property: Its name.
        unit: Its unit.
        predicted: The prediction.
        stored: The source's own value of this composition, if it has one.
    """

    property: str
    unit: str
    predicted: float
    stored: float | None


@dataclass(frozen=True, slots=True)
class SourceContribution:
    """The contribution of one source's model to a prediction.

    Attributes:
        source: The source that the model was trained on.
        kind: Kind of the source.
        helpers: Computed sources whose predictions are inputs of the model.
        weight: The model's share of the prediction; of a computed source, the share of the models that have its
            predictions as inputs.
        values: What the model predicts.
    """

    source: str
    kind: str
    helpers: tuple[str, ...]
    weight: float
    values: tuple[PropertyContribution, ...]

    @property
    def title(self) -> str:
        """The source, and the helpers of its model."""
        return f"{self.source} with {', '.join(self.helpers)}" if self.helpers else self.source

    @property
    def text(self) -> str:
        """The contribution in one line; the source's own value of the composition is in brackets."""
        values = []
        for value in self.values:
            name = f"{get_property(value.property).symbol} " if len(self.values) > 1 else ""
            stored = "" if value.stored is None else f" [{value.stored:.3g}]"
            values.append(f"{name}{value.predicted:.3g}{stored}")
        role = "weight" if self.kind == Kind.EXPERIMENT else "as input, weight"
        return f"{', '.join(values)}   {role} {self.weight:.2f}"


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A measured material with similar descriptors.

    Attributes:
        material_id: Its key.
        formula: Its formula in the conventional order.
        value: The measured value.
        distance: Its distance from the formula in the space of standardized descriptors.
        reference: Where the value was published.
    """

    material_id: str
    formula: str
    value: float
    distance: float
    reference: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The prediction minus its mean with one source's predictions, or one group of descriptors, of other materials."""

    kind: str
    block: str
    effect: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one formula.

    Attributes:
        formula: The formula in the conventional order; as it was given, if it could not be read.
        property: Name of the property.
        unit: Its unit.
        model_id: The ensemble.
        reason: Why there is no prediction; then the fields below are empty. None if there is one.
        material_id: Key of the composition; None if the formula could not be read.
        value: The predicted value.
        lower_90: Lower end of the 90 % prediction interval.
        upper_90: Upper end of it.
        chance_nonzero: Calibrated probability that the value is not zero (that there is a band gap at all); None where
            zero is not a class of its own.
        uncertainty_model: The part of the interval's standard deviation that is due to the models.
        uncertainty_noise: The part that is due to the scatter of repeated measurements, at most all of it; the two add
            in quadrature. None if the scatter is unknown.
        in_domain: Whether similar materials were measured.
        in_training: Whether the composition itself was measured and trained on.
        contributions: The contribution of each source's model.
        neighbors: The nearest measured materials.
        citations: BibTeX of the sources.
        effects: Effects of sources and groups of descriptors, largest first; empty without an explanation.
    """

    formula: str
    property: str
    unit: str
    model_id: str
    reason: str | None = None
    material_id: str | None = None
    value: float = math.nan
    lower_90: float = math.nan
    upper_90: float = math.nan
    chance_nonzero: float | None = None
    uncertainty_model: float | None = None
    uncertainty_noise: float | None = None
    in_domain: bool = False
    in_training: bool = False
    contributions: tuple[SourceContribution, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    citations: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with null for NaN, which JSON lacks."""
        fields = asdict(self)
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in fields.items()
        }


class Predictor:
    """The serving ensemble of one property."""

    def __init__(self, lake: Lake, spec: EnsembleSpec, row: Mapping[str, Any], ensemble: Ensemble) -> None:
        self.spec = spec
        self.model_id: str = row["model_id"]
        self._lake = lake
        self._ensemble = ensemble
        self._feature_sets = [_feature_set(label) for label in row["features"]]
        with lake.reader() as con:
            rows = con.execute("SELECT source, citation FROM sources").fetchall()
        self._citations = {source: citation.strip() for source, citation in rows}
        self._noise = replicate_noise(lake, spec.target, spec.name)

    @classmethod
    def load(cls, property: str | None = None, path: str | Path | None = None) -> Self:
        """Load the ensemble that serves a property.

        Args:
            property: Name of the property; may be omitted if the store has one ensemble only.
            path: Folder of the store; by default that of the settings.

        Raises:
            InputError: There is no store; no such model; several, and none was named; a model file is not the one
                recorded; or descriptors have changed since the training.
        """
        lake = Lake(Path(path)) if path is not None else Lake.of(Settings())
        row = _usable(lake, models.serving(lake, property))
        return cls(lake, get_ensemble(row["property"]), row, load_ensemble(lake, row))

    def predict(self, formulas: Sequence[str], *, explain: bool = False) -> list[Prediction]:
        """Predict the property of compositions.

        Args:
            formulas: Compositions, in any notation that `parse_formula` reads.
            explain: Whether to compute the effects of sources and descriptors too (about 0.3 s per formula).

        Returns:
            One prediction per formula, in their order. A formula that can't be read, or that has no descriptors, gets a
            reason instead of a value.
        """
        parsed = [_parse(formula) for formula in formulas]
        compositions = list({each.material_id: each for each in parsed if isinstance(each, Composition)}.values())
        features, reasons = self._compute_features(compositions)
        usable = [i for i, reason in enumerate(reasons) if reason is None]
        fields = self._predict([compositions[i].material_id for i in usable], features[usable]) if usable else []
        if explain and usable:
            explanations = self._explain([each["material_id"] for each in fields], features[usable])
            fields = [each | {"effects": effects} for each, effects in zip(fields, explanations, strict=True)]
        fields_of = {each["material_id"]: each for each in fields}
        missing = {compositions[i].material_id: reason for i, reason in enumerate(reasons) if reason is not None}
        results = []
        for formula, composition in zip(formulas, parsed, strict=True):
            if isinstance(composition, FormulaError):
                results.append(self._empty(formula, str(composition)))
            elif (key := composition.material_id) in missing:
                results.append(self._empty(formula_for_people(key), f"{formula}: {missing[key]}", key))
            else:
                results.append(Prediction(formula=formula_for_people(key), **fields_of[key]))
        return results

    def _empty(self, formula: str, reason: str, material_id: str | None = None) -> Prediction:
        return Prediction(formula, self.spec.name, self.spec.predicts.unit, self.model_id, reason, material_id)

    def _compute_features(self, compositions: Sequence[Composition]) -> tuple[NDArray[np.float64], list[str | None]]:
        elements = pa.array([list(c.elements) for c in compositions], pa.list_(pa.string()))
        fractions = pa.array([list(c.fractions) for c in compositions], pa.list_(pa.float64()))
        return compute_for(self._feature_sets, elements, fractions)

    def _predict(self, material_ids: list[str], features: NDArray[np.float64]) -> list[dict[str, Any]]:
        """The fields of a prediction, except `formula` and `effects`, for each material."""
        stored = computed_of(self._lake, self._ensemble.sources, material_ids)
        predictions = self._ensemble.predict(features, np.array(material_ids, dtype=str), stored)
        references = self._references(predictions)
        total = (predictions.upper - predictions.lower) / 2 / _HALF_WIDTH_90
        noise_part = np.minimum(self._noise or 0.0, total)
        model_part = np.sqrt(total**2 - noise_part**2)
        trained_on = set(self._ensemble.material_ids.tolist())
        citations = tuple(self._citations[source] for source in self.spec.source_names)
        return [
            {
                "property": self.spec.name,
                "unit": self.spec.predicts.unit,
                "model_id": self.model_id,
                "material_id": str(predictions.material_ids[i]),
                "value": float(predictions.values[i]),
                "lower_90": float(predictions.lower[i]),
                "upper_90": float(predictions.upper[i]),
                "chance_nonzero": None if predictions.chance is None else float(predictions.chance[i]),
                "uncertainty_model": float(model_part[i]),
                "uncertainty_noise": None if self._noise is None else float(noise_part[i]),
                "in_domain": bool(predictions.in_domain[i]),
                "in_training": str(predictions.material_ids[i]) in trained_on,
                "contributions": tuple(_contribution(each, i) for each in predictions.contributions),
                "neighbors": tuple(
                    Neighbor(name, formula_for_people(name), value, distance, references.get(name, ""))
                    for name, value, distance in zip(
                        predictions.nearest_ids[i].tolist(),
                        predictions.nearest_values[i].tolist(),
                        predictions.distances[i].tolist(),
                        strict=True,
                    )
                ),
                "citations": citations,
            }
            for i in range(len(material_ids))
        ]

    def _explain(self, material_ids: Sequence[str], features: NDArray[np.float64]) -> list[tuple[Effect, ...]]:
        ensemble, seed = self._ensemble, 0
        names = [column.name for each in self._feature_sets for column in each.columns]
        blocks = blocks_of(names, [helper.source for helper in ensemble.helpers])
        donors = ensemble.material_ids[donors_of(ensemble, seed)].tolist()
        stored, stored_of_donors = (computed_of(self._lake, ensemble.sources, ids) for ids in (material_ids, donors))
        return [
            tuple(
                Effect(blocks[place].kind, blocks[place].name, float(row[place])) for place in np.argsort(-np.abs(row))
            )
            for row in effects(ensemble, features, stored, stored_of_donors, blocks, seed)
        ]

    def _references(self, predictions: Predictions) -> dict[str, str]:
        nearest = sorted(set(predictions.nearest_ids.ravel().tolist()))
        with self._lake.reader() as con:
            rows = con.execute(
                "SELECT material_id, min(reference) FROM observations WHERE source = ? AND property = ? "
                "AND material_id IN (SELECT unnest(?)) GROUP BY material_id",
                [SourceRef.parse(self.spec.target).source, self.spec.name, nearest],
            ).fetchall()
        return dict(rows)


def _parse(formula: str) -> Composition | FormulaError:
    try:
        return parse_formula(formula)
    except FormulaError as error:
        return error


def _feature_set(label: str) -> FeatureSet:
    """The feature set of a label such as `magpie_v1`, as the code computes it now."""
    return get_feature_set(label.rsplit("_v", 1)[0])


def _usable(lake: Lake, serving: Mapping[str, Any]) -> Mapping[str, Any]:
    """The serving ensemble; where the code computes its features differently, the newest one that it can predict with.

    That is so where a change of the code was taken back and nothing has run since.
    """
    with lake.reader() as con:
        rows = con.execute("SELECT name, version, signature FROM feature_sets").fetchall()
    signatures = {feature_label(name, version): signature for name, version, signature in rows}

    def changed(model: Mapping[str, Any]) -> list[str]:
        return [label for label in model["features"] if signatures.get(label) != _feature_set(label).signature()]

    outdated = changed(serving)
    if not outdated:
        return serving
    for model in models.listing(lake, serving["property"]):
        is_ensemble = model["source"] is None and not model["withdrawn"]
        if is_ensemble and not changed(model) and lake.files.exists(model["path"]):
            log.warning(
                "model %s serves, but %s is computed differently now; predicting with %s, which the code can use",
                serving["model_id"], outdated[0], model["model_id"],
            )  # fmt: skip
            return model
    raise InputError(
        f"model {serving['model_id']} was trained on {outdated[0]}, which this version of Matstrata computes "
        f"differently; retrain it with 'matstrata run {serving['property']}'"
    )


def _contribution(contribution: Contribution, i: int) -> SourceContribution:
    return SourceContribution(
        contribution.source,
        contribution.kind,
        contribution.helpers,
        contribution.weight,
        tuple(
            PropertyContribution(
                name, get_property(name).unit, float(predicted), None if np.isnan(stored) else float(stored)
            )
            for name, predicted, stored in zip(
                contribution.properties, contribution.predicted[i], contribution.computed[i], strict=True
            )
        ),
    )
