"""The closed lists of words that several packages share, each declared once with its meaning.

Not here: open vocabularies (`schemas.properties`), rules (`schemas.rules`), and the tables that hold these words
(`schemas.tables`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Term(StrEnum):
    """A word of a closed list: its value is what tables and JSON hold, its meaning what people read."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Make a member from its value and meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning or value.replace("_", " ")
        return member


class Kind(Term):
    """How the values of a source came about."""

    EXPERIMENT = "experiment"
    COMPUTATION = "computation"


class Setting(Term):
    """What the models may use of computed sources when they are evaluated."""

    WITHOUT_DFT = "without_dft", "the ensemble without any computed source"
    STRICT = (
        "strict",
        "the ensemble with predictions of the computed sources' models, which were not trained on the material",
    )
    KNOWN_DFT = "known_dft", "the ensemble with the material's computed values too, where a computed source has them"


class Baseline(Term):
    """A plain model that the ensemble is compared with."""

    MEAN = "mean", "the mean of the measured values, whatever the material"
    SINGLE = "single", "one plain model of the measured source alone"


class Split(Term):
    """How held-out materials are chosen: what is never divided between training and test."""

    GROUPED_KFOLD = "grouped_kfold", "new compositions: near-identical ones are never on both sides of a split"
    CHEMICAL_SYSTEM = "chemical_system", "new chemistry: all compounds of the same elements are held out together"
    CLUSTER = "cluster", "new kinds of composition: each cluster is held out as a whole"


PUBLISHED = "published"
"""The protocol of a benchmark whose split was published with it, in addition to those of `Split`."""

REPLICATES, MEASUREMENT, POOLED_SD = "replicates", "measurement", "pooled_sd"
"""Protocol, setting and metric of the one figure that is not of a model: the scatter of repeated measurements."""


class Subset(Term):
    """Which of the held-out materials a figure is about; classes of the target have names of their own in addition."""

    ALL = "all", "all held-out materials"
    IN_DOMAIN = "in_domain"
    OUT_OF_DOMAIN = "out_of_domain"
    EASY_THIRD = "easy_third", "the third with the narrowest intervals"
    HARD_THIRD = "hard_third", "the third with the widest intervals"


class Metric(Term):
    """A figure of an evaluation; coverage at other levels than 90 % is named in the same way."""

    N = "n", "materials"
    MAE = "mae", "MAE"
    RMSE = "rmse", "RMSE"
    R2 = "r2", "R²"
    COVERAGE_90 = "coverage_90", "in 90 % interval"
    WIDTH_90 = "width_90", "width of 90 % interval"
