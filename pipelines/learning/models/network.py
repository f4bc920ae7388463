"""A small neural network in numpy, trained on all computed properties at once (multi-task learning).

Three hidden layers with SiLU activations under one output for each property of each source,

    h_0 = (x - center) / spread,    h_l = silu(W_l h_(l-1) + b_l),    o = W_4 h_3 + b_4,    silu(z) = z / (1 + exp(-z));

a missing value contributes nothing to the gradient. Its hidden layers describe a composition in terms that are useful
to all computed sources. No deep-learning library: these take gigabytes, and this trains on 200,000 compositions in a
minute. Not here: how its predictions and layers are used (`stack.inputs`, `methods.transfer`).
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.leakage import TooFewError, check_blind, fingerprints
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.models.scales import fit_scale
from matstrata.pipelines.learning.models.source_models import MIN_SOURCE_MATERIALS
from matstrata.pipelines.learning.threads import run_in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples

    Floats = NDArray[np.float32]

log = logging.getLogger("matstrata.learning")

N_NETWORKS = 2  # trained the same from other initial weights; distances by the layers of both vary less
HIDDEN = (512, 256, 128)
TRAINING_EPOCHS = 10
TRAINING_BATCH = 512
TRAINING_RATE = 1e-3  # of Adam, falling to zero along a half cosine
TRAINING_DROPOUT = 0.05
ZEROS_SHARE = 0.3  # trained on, of the materials with one value that is zero: they are many and inform little
MIN_STEPS = 500  # of descent, however few materials there are
MAX_NETWORK_DEVIATIONS = 6.0  # standard deviations at which inputs are clipped
STANDARDIZED_ROWS = 20_000  # at a time
TUNING_EPOCHS, TUNING_BATCH, TUNING_RATE, TUNING_DROPOUT = 30, 64, 3e-4, 0.2
TUNING_HUBER_DELTA = 0.3  # standard deviations beyond which an experiment's error counts linearly instead of squared


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network.

    Attributes:
        center: (d,) mean of each descriptor.
        spread: (d,) standard deviation of each.
        weights: A matrix and a bias for each layer in turn.
        trained_groups: (g,) sorted fingerprints of the groups it was trained on.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: tuple[Floats, ...]
    trained_groups: NDArray[np.uint64]

    def inputs(self, features: NDArray[Any]) -> Floats:
        """Standardize (m, d) descriptors; a missing one counts as the mean."""
        scaled = np.nan_to_num((features - self.center) / self.spread).clip(
            -MAX_NETWORK_DEVIATIONS, MAX_NETWORK_DEVIATIONS
        )
        return scaled.astype(np.float32)

    def representation(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Describe m materials by the second hidden layer, (m, h), and the outputs, (m, o)."""
        # In double precision: the prediction of one material must not depend on the others in the request.
        weights = [each.astype(np.float64) for each in self.weights]
        *layers, outputs = _layers(weights, self.inputs(features).astype(np.float64))
        return layers[1], outputs

    def check_blind_to(self, group_ids: NDArray[np.str_]) -> None:
        """Check that it was trained on none of these groups.

        Raises:
            LeakageError: It was; the message names a group.
        """
        check_blind("the network of all computed sources", self.trained_groups, group_ids)


@dataclass(frozen=True, slots=True)
class Networks:
    """Several networks trained on the same data, used as one more helper in addition to the models of the sources.

    Their prediction is the mean of their outputs. They have no computed values, and none of a source's properties.
    Distances in their second hidden layers (`settings.HelperPredictions.layers`) measure how similar materials are to
    all computed sources together.
    """

    networks: tuple[Network, ...]
    source: str = "all computed sources"
    properties: tuple[str, ...] = ()

    def representation(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Join the second hidden layers of all k networks, (m, k h), and average their outputs, (m, o)."""
        each = [network.representation(features) for network in self.networks]
        return np.hstack([layers for layers, _ in each]), np.mean([outputs for _, outputs in each], axis=0)

    def check_blind_to(self, group_ids: NDArray[np.str_]) -> None:
        """Check that none was trained on any of these groups.

        Raises:
            LeakageError: One was; the message names a group.
        """
        for network in self.networks:
            network.check_blind_to(group_ids)


def train_networks(helpers: Sequence[Samples], exclude_groups: NDArray[np.str_], seed: int) -> list[Networks]:
    """Train networks on everything that the helpers report, except for some groups.

    Returns:
        One further helper; none where there are no helpers, or too few of their materials remain.
    """
    if not helpers:
        return []
    log.info("training networks on all computed sources")
    try:
        return [Networks(pretrain(helpers, exclude_groups, range(seed, seed + N_NETWORKS)))]
    except TooFewError:
        return []


def pretrain(helpers: Sequence[Samples], exclude_groups: NDArray[np.str_], seeds: Sequence[int]) -> tuple[Network, ...]:
    """Train networks on everything that the helpers report, one for each seed, from one copy of the inputs.

    Args:
        helpers: Their materials.
        exclude_groups: The target's group_ids, which are not trained on.
        seeds: Each fixes the random choices of one network.

    Raises:
        TooFewError: There are too few materials.
    """
    group_ids = np.concatenate([helper.group_ids for helper in helpers])
    allowed = np.flatnonzero(~np.isin(group_ids, exclude_groups))
    names, first, material_of = np.unique(
        np.concatenate([helper.material_ids for helper in helpers])[allowed], return_index=True, return_inverse=True
    )
    if len(names) < MIN_SOURCE_MATERIALS:
        raise TooFewError(f"{len(names)} computed materials to learn from; at least {MIN_SOURCE_MATERIALS} are needed")
    values = _by_material(helpers, allowed, material_of, len(names))
    zero_alone = (np.isfinite(values).sum(axis=1) == 1) & (np.nan_to_num(values) == 0).all(axis=1)
    rows = np.flatnonzero(~zero_alone | (np.random.default_rng(seeds[0]).random(len(names)) < ZEROS_SHARE))
    inputs = _gather(helpers, allowed[first[rows]])
    center, spread = np.nanmean(inputs, axis=0), np.nanstd(inputs, axis=0)
    spread[~(spread > 1e-6)] = 1.0
    trained_groups = np.sort(fingerprints(np.unique(group_ids[allowed])))
    untrained = Network(np.nan_to_num(center), spread, (), trained_groups)
    for start in range(0, len(inputs), STANDARDIZED_ROWS):  # in place: with a copy they would take twice the memory
        inputs[start : start + STANDARDIZED_ROWS] = untrained.inputs(inputs[start : start + STANDARDIZED_ROWS])
    targets, classes = _targets(values[rows])
    gradient = _helpers_gradient(targets, np.isfinite(targets), classes)

    def train(seed: int) -> Network:
        rng = np.random.default_rng(seed)
        weights = _initial_weights((inputs.shape[1], *HIDDEN, targets.shape[1]), rng)
        _descend(weights, inputs, gradient, TRAINING_EPOCHS, TRAINING_BATCH, TRAINING_RATE, TRAINING_DROPOUT, rng)
        return replace(untrained, weights=tuple(weights))

    return tuple(run_in_parallel(partial(train, seed) for seed in seeds))


def _by_material(
    helpers: Sequence[Samples], rows: NDArray[np.intp], material_of: NDArray[np.intp], n: int
) -> NDArray[np.float64]:
    """Gather what is reported about n materials: one column for each property of each helper, NaN where unreported.

    Args:
        helpers: The sources.
        rows: (k,) positions in all helpers, one after the other.
        material_of: (k,) the material of each of these rows.
        n: Number of materials.
    """
    columns = []
    starts = np.cumsum([0, *(len(helper) for helper in helpers)])
    for helper, (start, end) in zip(helpers, itertools.pairwise(starts), strict=True):
        of_helper = (rows >= start) & (rows < end)
        for reported in helper.values[rows[of_helper] - start].T:
            if np.isfinite(reported).any():
                column = np.full(n, np.nan)
                column[material_of[of_helper]] = reported
                columns.append(column)
    return np.column_stack(columns)


def fine_tune(network: Network, inputs: Floats, values: NDArray[np.float64], seed: int) -> tuple[Floats, ...]:
    """Continue training a network, with one new output, on experiments; all layers change.

    Args:
        network: The pretrained network.
        inputs: (n, d + e) standardized inputs; the weights of the e columns that the network does not have start at 0.
        values: (n,) standardized measured values.
        seed: Fixes random choices.

    Returns:
        The weights of the tuned network.
    """
    rng = np.random.default_rng(seed)
    wide = np.zeros((inputs.shape[1], network.weights[0].shape[1]), dtype=np.float32)
    wide[: len(network.weights[0])] = network.weights[0]
    output = _initial_weights((network.weights[-2].shape[0], 1), rng)
    weights = [wide, *(each.copy() for each in network.weights[1:-2]), *output]
    targets = values.astype(np.float32)[:, None]

    def gradient(rows: NDArray[np.intp], outputs: Floats) -> Floats:
        errors: Floats = outputs - targets[rows]
        scaled: Floats = errors.clip(-TUNING_HUBER_DELTA, TUNING_HUBER_DELTA) * np.float32(
            1 / (TUNING_HUBER_DELTA * len(rows))
        )
        return scaled

    _descend(weights, inputs, gradient, TUNING_EPOCHS, TUNING_BATCH, TUNING_RATE, TUNING_DROPOUT, rng)
    return tuple(weights)


def output(weights: Sequence[Floats], inputs: Floats) -> Floats:
    """Compute the last layer's (m, o) outputs."""
    return _layers(weights, inputs)[-1]


def _gather(helpers: Sequence[Samples], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Take rows of all helpers' descriptors, one after the other, without copying all of them."""
    starts = np.cumsum([0, *(len(helper) for helper in helpers)])
    features = np.empty((len(rows), helpers[0].features.shape[1]), dtype=np.float32)
    for helper, (start, end) in zip(helpers, itertools.pairwise(starts), strict=True):
        of_helper = (rows >= start) & (rows < end)
        features[of_helper] = helper.features[rows[of_helper] - start]
    return features


def _targets(values: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """Scale (n, p) values to (n, o) targets, NaN where unreported; and mark the outputs that are log-odds."""
    outputs, classes = [], []
    for column in values.T:
        outputs.append(fit_scale(column).apply(column))
        classes.append(False)
        if is_zero_inflated(column[np.isfinite(column)]):
            size = np.where(column == 0, np.nan, column)
            outputs += [fit_scale(size).apply(size), np.where(np.isnan(column), np.nan, column != 0)]
            classes += [False, True]
    return np.column_stack(outputs).astype(np.float32), np.array(classes)


def _helpers_gradient(
    targets: Floats, reported: NDArray[np.bool_], classes: NDArray[np.bool_]
) -> Callable[[NDArray[np.intp], Floats], Floats]:
    """Make the gradient of the loss along the outputs.

    The loss is Huber's with delta of one standard deviation, for classes the cross-entropy; each output o counts by
    sqrt(n / n_o), with n_o its number of reported values, so that rare properties count more.
    """
    weights = np.sqrt(len(targets) / reported.sum(axis=0)).astype(np.float32)
    values = np.where(reported, targets, np.float32(0))

    def gradient(rows: NDArray[np.intp], outputs: Floats) -> Floats:
        predicted = np.where(classes, 1 / (1 + np.exp(-outputs.clip(-30, 30))), outputs)
        scaled: Floats = (predicted - values[rows]).clip(-1, 1) * reported[rows] * weights / np.float32(len(rows))
        return scaled

    return gradient


def _initial_weights(sizes: Sequence[int], rng: np.random.Generator) -> list[Floats]:
    weights: list[Floats] = []
    for inside, outside in itertools.pairwise(sizes):
        matrix = rng.standard_normal((inside, outside), dtype=np.float32) * np.float32(np.sqrt(2 / inside))
        weights += [matrix, np.zeros(outside, dtype=np.float32)]
    weights[-2] *= np.float32(0.1)  # so that the first outputs are near the mean
    return weights


def _layers(weights: Sequence[NDArray[Any]], inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Compute all hidden layers' activations, then the outputs."""
    activations, signal = [], inputs
    for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        signal = _activate(signal @ matrix + bias)[0]
        activations.append(signal)
    return [*activations, signal @ weights[-2] + weights[-1]]


def _activate(signal: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Compute the SiLU of a signal and its derivative."""
    gate = 1 / (1 + np.exp(-signal.clip(-30, 30)))
    return signal * gate, gate * (1 + signal * (1 - gate))


def _descend(
    weights: list[Floats],
    inputs: Floats,
    gradient: Callable[[NDArray[np.intp], Floats], Floats],
    epochs: int,
    batch: int,
    rate: float,
    dropout: float,
    rng: np.random.Generator,
) -> None:
    """Change the weights in place by Adam (arXiv:1412.6980) with dropout, over shuffled batches."""
    first, second = [np.zeros_like(each) for each in weights], [np.zeros_like(each) for each in weights]
    batch = min(batch, len(inputs))
    per_epoch = len(inputs) // batch
    steps = max(epochs * per_epoch, MIN_STEPS)
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permutation(len(inputs))
        rows = order[step % per_epoch * batch :][:batch]
        now = rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for k, slope in enumerate(_gradients(weights, inputs[rows], partial(gradient, rows), dropout, rng)):
            first[k] += np.float32(0.1) * (slope - first[k])
            second[k] += np.float32(0.001) * (slope * slope - second[k])
            size = np.sqrt(second[k] / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8)
            weights[k] -= np.float32(now / (1 - 0.9 ** (step + 1))) * first[k] / size


def _gradients(
    weights: Sequence[Floats],
    inputs: Floats,
    gradient: Callable[[Floats], Floats],
    dropout: float,
    rng: np.random.Generator,
) -> list[Floats]:
    """Compute the loss's gradient along each weight, by back-propagation."""
    signals: list[Floats] = [inputs]
    slopes: list[Floats] = []
    for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        signal, slope = _activate(signals[-1] @ matrix + bias)
        mask = (rng.random(signal.shape, dtype=np.float32) >= dropout).astype(np.float32) / np.float32(1 - dropout)
        signals.append(signal * mask)
        slopes.append(slope * mask)
    backward = gradient(signals[-1] @ weights[-2] + weights[-1])
    gradients: list[Floats] = []
    for k in range(len(signals) - 1, -1, -1):
        gradients += [backward.sum(axis=0), signals[k].T @ backward]
        if k:
            backward = (backward @ weights[2 * k].T) * slopes[k - 1]
    return gradients[::-1]
