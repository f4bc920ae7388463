"""Asking the serving ensemble about formulas: values with intervals, reasons and citations.

`Predictor.load("band_gap").predict(["GaN"])`. New compositions get the same descriptors by the same code as stored
ones, and are not written. Not here: training (`pipelines.learning`), how answers look (`pipelines.cli.tables`).
"""

from __future__ import annotations

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
from matstrata.pipelines.learning.jobs import known_of, load_ensemble
from matstrata.pipelines.learning.stack.ensemble import Contribution, Ensemble, Predictions
from matstrata.schemas.composition import Composition, FormulaError, parse_formula
from matstrata.schemas.ensembles import EnsembleSpec, get_ensemble
from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.store import models
from matstrata.store.features.sets import compute_for
from matstrata.store.lake.lake import Lake
from matstrata.store.records.noise import replicate_noise
from matstrata.store.settings import Settings

_PER_SIGMA = 1.645  # half of a 90 % interval in standard deviations


@dataclass(frozen=True, slots=True)
class Say:
    """What one property of one source's model comes to: its prediction, and the source's own value where it has one."""

    property: str
    unit: str
    predicted: float
    known: float | None


@dataclass(frozen=True, slots=True)
class SourceSay:
    """What the model of one source said; `given` names the sources whose word it had."""

    source: str
    kind: str
    given: tuple[str, ...]
    weight: float
    says: tuple[Say, ...]

    @property
    def title(self) -> str:
        """The source, and whom it listened to."""
        return f"{self.source} given {', '.join(self.given)}" if self.given else self.source

    @property
    def text(self) -> str:
        """One line for a person; what the source itself has of the composition stands in brackets."""
        values = []
        for say in self.says:
            name = f"{get_property(say.property).symbol} " if len(self.says) > 1 else ""
            known = "" if say.known is None else f" [{say.known:.3g}]"
            values.append(f"{name}{say.predicted:.3g}{known}")
        role = "weight" if self.kind == "experiment" else "heard with weight"
        return f"{', '.join(values)}   {role} {self.weight:.2f}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A measured material alike, with its value and whom it comes from."""

    material_id: str
    value: float
    distance: float
    reference: str


@dataclass(frozen=True, slots=True)
class Effect:
    """How far a source's word, or a group of descriptors, moves a prediction from what others' would give."""

    kind: str
    block: str
    effect: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer about one formula; where it could not be read, `reason` says why and nothing else is known.

    `chance_nonzero` is the calibrated chance of, say, a gap at all (null where zero is no class of its own). The
    interval's standard deviation is split into `uncertainty_noise`, by which repeated measurements scatter (all of it,
    where that is more), and the rest, `uncertainty_model`, in quadrature. `effects` are there where an explanation was
    asked for, the largest first.
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
    sources: tuple[SourceSay, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    citations: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN, which JSON has not, as null."""
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
        self._feature_sets = [get_feature_set(name.rsplit("_v", 1)[0]) for name in row["features"]]
        with lake.reader() as con:
            found = con.execute("SELECT source, citation FROM sources").fetchall()
            self._citations = {source: citation.strip() for source, citation in found}
        self._noise = replicate_noise(lake, spec.target, spec.name)

    @classmethod
    def load(cls, property: str | None = None, path: str | Path | None = None) -> Self:
        """Load the ensemble that serves `property`, or the only one there is, from the store in `path`.

        Raises:
            InputError: there is no store, no such model, several and none named, a model file that is not the one
                recorded, or descriptors that have changed since.
        """
        lake = Lake(Path(path)) if path is not None else Lake.of(Settings())
        row = models.serving(lake, property)
        _check_versions(lake, row)
        return cls(lake, get_ensemble(row["property"]), row, load_ensemble(lake, row))

    def predict(self, formulas: Sequence[str], *, explain: bool = False) -> list[Prediction]:
        """One prediction per formula, in their order; a formula that can't be read or described gets a reason.

        Args:
            formulas: compositions as people write them.
            explain: tell, too, which sources and descriptors move each prediction (about 0.3 s for each).
        """
        read = [_parse(formula) for formula in formulas]
        compositions = list({c.material_id: c for c in read if isinstance(c, Composition)}.values())
        features, reasons = self._describe(compositions)
        usable = [i for i, reason in enumerate(reasons) if reason is None]
        said = self._answer(compositions, features, usable)
        if explain and usable:
            explained = self._explain([answer["material_id"] for answer in said], features[usable])
            said = [answer | {"effects": each} for answer, each in zip(said, explained, strict=True)]
        answers = {answer["material_id"]: answer for answer in said}
        undescribed = {compositions[i].material_id: reason for i, reason in enumerate(reasons) if reason is not None}
        results = []
        for formula, composition in zip(formulas, read, strict=True):
            if isinstance(composition, FormulaError):
                results.append(self._empty(formula, str(composition)))
            elif composition.material_id in undescribed:
                results.append(self._empty(formula, f"{formula}: {undescribed[composition.material_id]}"))
            else:
                results.append(Prediction(formula=formula, **answers[composition.material_id]))
        return results

    def _empty(self, formula: str, reason: str) -> Prediction:
        return Prediction(formula, self.spec.name, self.spec.predicts.unit, self.model_id, reason)

    def _describe(self, compositions: Sequence[Composition]) -> tuple[NDArray[np.float64], list[str | None]]:
        elements = pa.array([list(c.elements) for c in compositions], pa.list_(pa.string()))
        fractions = pa.array([list(c.fractions) for c in compositions], pa.list_(pa.float64()))
        return compute_for(self._feature_sets, elements, fractions)

    def _answer(
        self, compositions: Sequence[Composition], features: NDArray[np.float64], usable: list[int]
    ) -> list[dict[str, Any]]:
        if not usable:
            return []
        material_ids = np.array([compositions[i].material_id for i in usable], dtype=str)
        known = known_of(self._lake, self._ensemble.sources, material_ids.tolist())
        said = self._ensemble.predict(features[usable], material_ids, known)
        references = self._references(said)
        total = (said.upper - said.lower) / 2 / _PER_SIGMA
        noise_part = np.minimum(self._noise or 0.0, total)
        model_part = np.sqrt(total**2 - noise_part**2)
        trained_on = set(self._ensemble.material_ids.tolist())
        citations = tuple(self._citations[source] for source in self.spec.source_names)
        return [
            {
                "property": self.spec.name,
                "unit": self.spec.predicts.unit,
                "model_id": self.model_id,
                "material_id": str(said.material_ids[i]),
                "value": float(said.values[i]),
                "lower_90": float(said.lower[i]),
                "upper_90": float(said.upper[i]),
                "chance_nonzero": None if said.chance is None else float(said.chance[i]),
                "uncertainty_model": float(model_part[i]),
                "uncertainty_noise": None if self._noise is None else float(noise_part[i]),
                "in_domain": bool(said.in_domain[i]),
                "in_training": str(said.material_ids[i]) in trained_on,
                "sources": tuple(_say(contribution, i) for contribution in said.contributions),
                "neighbours": tuple(
                    Neighbour(str(name), float(value), float(distance), references.get(str(name), ""))
                    for name, value, distance in zip(
                        said.nearest_ids[i], said.nearest_values[i], said.distances[i], strict=True
                    )
                ),
                "citations": citations,
            }
            for i in range(len(usable))
        ]

    def _explain(self, material_ids: Sequence[str], features: NDArray[np.float64]) -> list[tuple[Effect, ...]]:
        ensemble, seed = self._ensemble, 0
        names = [column.name for each in self._feature_sets for column in each.columns]
        blocks = blocks_of(names, [helper.source for helper in ensemble.helpers])
        donors = ensemble.material_ids[donors_of(ensemble, seed)].tolist()
        known, known_of_donors = (known_of(self._lake, ensemble.sources, ids) for ids in (material_ids, donors))
        return [
            tuple(
                Effect(blocks[place].kind, blocks[place].name, float(row[place])) for place in np.argsort(-np.abs(row))
            )
            for row in effects(ensemble, features, known, known_of_donors, blocks, seed)
        ]

    def _references(self, said: Predictions) -> dict[str, str]:
        nearest = sorted(set(said.nearest_ids.ravel().tolist()))
        with self._lake.reader() as con:
            found = con.execute(
                "SELECT material_id, min(reference) FROM observations WHERE source = ? AND property = ? "
                "AND material_id IN (SELECT unnest(?)) GROUP BY material_id",
                [self.spec.target.partition(":")[0], self.spec.name, nearest],
            ).fetchall()
        return dict(found)


def _parse(formula: str) -> Composition | FormulaError:
    try:
        return parse_formula(formula)
    except FormulaError as error:
        return error


def _check_versions(lake: Lake, row: Mapping[str, Any]) -> None:
    with lake.reader() as con:
        found = con.execute("SELECT name, version, signature FROM feature_sets").fetchall()
    stored = {f"{name}_v{version}": signature for name, version, signature in found}
    for label in row["features"]:
        if stored.get(label) != get_feature_set(label.rsplit("_v", 1)[0]).signature():
            raise InputError(
                f"model {row['model_id']} was trained on {label}, which this version of Matstrata computes "
                f"differently; train it anew with 'matstrata run {row['property']}'"
            )


def _say(contribution: Contribution, i: int) -> SourceSay:
    return SourceSay(
        contribution.source,
        contribution.kind,
        contribution.given,
        contribution.weight,
        tuple(
            Say(name, get_property(name).unit, float(predicted), None if np.isnan(known) else float(known))
            for name, predicted, known in zip(
                contribution.properties, contribution.predicted[i], contribution.known[i], strict=True
            )
        ),
    )
