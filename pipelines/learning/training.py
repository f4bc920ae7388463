"""One property's ensemble from samples to figures: evaluated, measured for its learning curve, fitted to serve.

Pure: samples and models in, models and figures out. What a model's version depends on begins here
(`pipelines.learning.jobs`). Not here: reading the store and the registry of models.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.learning.evaluation.evaluation import Evaluation, evaluate, learning_curve
from matstrata.pipelines.learning.evaluation.importance import ImportanceCollector
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.evaluation.table_rows import curve_row
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble
from matstrata.schemas.terms import Split

if TYPE_CHECKING:
    from matstrata.pipelines.learning.stack.inputs import Helper

log = logging.getLogger("matstrata.learning")

EVALUATED_SPLITS = (Split.GROUPED_KFOLD, Split.CHEMICAL_SYSTEM)
MAX_TESTED_ROWS = 1_500  # of the splits after the first: each fold takes as long as fitting twice


@dataclass(frozen=True, slots=True)
class Fitted:
    """An ensemble with everything that is registered about it.

    Attributes:
        model: The ensemble that serves, fitted on all materials.
        evaluations: Its evaluation under each protocol.
        details: Rows of further tables about it, by table, without the model.
    """

    model: Ensemble
    evaluations: tuple[Evaluation, ...]
    details: Mapping[str, list[dict[str, Any]]]


def fit_ensemble(
    name: str,
    samples: Samples,
    helpers: Sequence[Helper],
    helper_samples: Sequence[Samples],
    descriptors: Sequence[str],
    bounds: tuple[float, float],
    zero_class: str | None,
    seed: int,
) -> Fitted:
    """Evaluate an ensemble, measure its learning curve, and fit it on everything.

    Args:
        name: The property, for the log.
        samples: The target's materials.
        helpers: Models of the helper sources and networks, blind to the target's groups.
        helper_samples: The helper sources' own values.
        descriptors: Names of the feature columns.
        bounds: Smallest and largest possible value of the property.
        zero_class: Name of the class whose value is 0, where there is one.
        seed: Fixes random choices.

    Raises:
        LeakageError: A helper model was trained on a group of the target.
        LearningError: There are too few materials.
    """
    log.info("%s: evaluating out of fold on %s materials", name, f"{len(samples):,}")
    protocols = [split_protocol(samples, split, zero_class, seed) for split in EVALUATED_SPLITS]
    protocols[1:] = [protocol.shortened(MAX_TESTED_ROWS) for protocol in protocols[1:]]
    importance = ImportanceCollector([helper.source for helper in helpers], descriptors, len(samples), seed)
    evaluations = [
        evaluate(samples, helpers, helper_samples, protocol, bounds, seed, None if number else importance.collect)
        for number, protocol in enumerate(protocols)
    ]
    curve = learning_curve(samples, helpers, helper_samples, protocols[0], evaluations[0], bounds, seed)
    log.info("%s: fitting the ensemble", name)
    model = train_ensemble(samples, helpers, helper_samples, bounds, seed)
    details = {"learning_curves": list(map(curve_row, curve)), **importance.rows}
    return Fitted(model, tuple(evaluations), details)
