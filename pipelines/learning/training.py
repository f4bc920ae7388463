"""One property's ensemble from samples to figures: evaluated, measured for its learning curve, fitted to serve.

Pure: samples and models in, models and figures out. What a model's version depends on begins here
(`pipelines.learning.jobs`). Not here: reading the store and the registry of models.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from matstrata.pipelines.learning.evaluation.evaluation import CurvePoint, Evaluation, evaluate, learning_curve
from matstrata.pipelines.learning.evaluation.insight import Insight
from matstrata.pipelines.learning.evaluation.protocols import split_protocol
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.splits import Split
from matstrata.pipelines.learning.stack.ensemble import Ensemble, train_ensemble

if TYPE_CHECKING:
    from matstrata.pipelines.learning.stack.level1 import Helper

log = logging.getLogger("matstrata.learning")

_SPLITS = (Split.GROUPED_KFOLD, Split.CHEMICAL_SYSTEM)
_ENOUGH = 1_500  # rows tested under the second: each fold costs as much as fitting twice over


@dataclass(frozen=True, slots=True)
class Fitted:
    """An ensemble with everything that is registered of it.

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
        seed: Fixes what chance decides.

    Raises:
        LeakageError: when a helper model was trained on a group of the target.
        LearningError: when there are too few materials.
    """
    log.info("%s: evaluating out of fold on %s materials", name, f"{len(samples):,}")
    protocols = [split_protocol(samples, split, zero_class, seed) for split in _SPLITS]
    protocols[1:] = [protocol.shortened(_ENOUGH) for protocol in protocols[1:]]
    insight = Insight([helper.source for helper in helpers], descriptors, len(samples), seed)
    evaluations = [
        evaluate(samples, helpers, helper_samples, protocol, bounds, seed, None if number else insight.look)
        for number, protocol in enumerate(protocols)
    ]
    curve = learning_curve(samples, helpers, helper_samples, protocols[0], evaluations[0], bounds, seed)
    log.info("%s: fitting the ensemble", name)
    model = train_ensemble(samples, helpers, helper_samples, bounds, seed)
    details = {"learning_curves": list(map(_curve_row, curve)), **insight.found}
    return Fitted(model, tuple(evaluations), details)


def _curve_row(point: CurvePoint) -> dict[str, Any]:
    values = asdict(point)
    return {"setting": values.pop("model"), **values}
