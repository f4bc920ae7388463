"""How the inputs of level-1 models are joined: descriptors, what the helpers predict, what their sources computed.

The columns of a view stand in this order: the feature sets; for each helper its predictions, its probabilities and,
where the view has them, the computed values with flags; last the hidden layers of networks, which only the kernel
takes (to trees they are hundreds of columns, each with little information). Not here: the models (`level1`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matstrata.pipelines.learning.models.network import Networks
from matstrata.pipelines.learning.samples import Samples, computed_values
from matstrata.pipelines.learning.settings import HelperPredictions, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.models.source_models import SourceModel

    Helper = SourceModel | Networks


def predict_helper(
    helper: Helper, features: NDArray[np.float64], computed: NDArray[np.float64] | None
) -> HelperPredictions:
    """Let one helper predict m materials.

    Args:
        helper: The model of a source, or networks.
        features: (m, d) descriptors.
        computed: (m, p) values that the source computed, in the properties' units, NaN where it has none; None for
            no values at all.
    """
    no_columns = np.empty((len(features), 0))
    if isinstance(helper, Networks):
        layers, outputs = helper.representation(features)
        return HelperPredictions(outputs, no_columns, no_columns, layers)
    predicted, chances = helper.predict_scaled(features)
    scaled = np.full_like(predicted, np.nan) if computed is None else helper.scale_values(computed)
    return HelperPredictions(predicted, chances, scaled, no_columns)


def predict_helpers(
    target: Samples, helper_models: Sequence[Helper], helper_samples: Sequence[Samples]
) -> tuple[HelperPredictions, ...]:
    """Let every helper predict the target's materials, after checking that none was trained on their groups.

    Args:
        target: The target's materials.
        helper_models: Models from `train_source_model(…, exclude_groups=target.group_ids)` and `train_networks`.
        helper_samples: The same sources' own values, for the known-DFT setting; a source left out counts as having
            computed nothing.

    Raises:
        LeakageError: A helper model was trained on a group of the target, or `helper_samples` are experimental.
    """
    samples_of = {samples.source: samples for samples in helper_samples}
    predictions = []
    for model in helper_models:
        model.check_blind_to(target.group_ids)
        samples = samples_of.get(model.source)
        computed = None if samples is None else computed_values(samples, target.material_ids)
        predictions.append(predict_helper(model, target.features, computed))
    return tuple(predictions)


def view_inputs(
    view: View, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
) -> NDArray[np.float64]:
    """Join (m, d) descriptors and helper predictions into the (m, k) input columns of a view.

    A computed value takes the place of the prediction, with a flag; the prediction remains in a column of its own, so
    that models can learn how far one can stand for the other.
    """
    of_view = helper_predictions if view is not View.ALONE else ()
    columns = [features]
    for each in of_view:
        columns += [each.predicted, each.chances]
        if view is View.GIVEN_KNOWN and each.computed.shape[1]:
            is_computed = np.isfinite(each.computed)
            columns += [np.where(is_computed, each.computed, each.predicted), is_computed.astype(np.float64)]
    return np.hstack([*columns, *(each.layers for each in of_view)])


def layers_of(view: View, helper_predictions: Sequence[HelperPredictions]) -> int:
    """Count the last columns of a view's inputs, which are hidden layers of networks."""
    return 0 if view is View.ALONE else sum(each.layers.shape[1] for each in helper_predictions)


def blocks_of_inputs(n_inputs: int, feature_sets: Sequence[int], layers: int) -> tuple[int, ...]:
    """Give the widths of the kernel's blocks: each feature set, the helpers' columns, layers; empty ones left out."""
    widths = (*feature_sets, n_inputs - sum(feature_sets) - layers, layers)
    return tuple(width for width in widths if width)
