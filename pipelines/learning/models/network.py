"""A small neural network in numpy, taught all computed properties at once, some missing for most materials.

Three hidden layers under one output for each thing that a source reports; a missing value pulls at nothing. Its layers
describe a composition in the terms that the computed sources need. No deep-learning library: these take gigabytes, and
this trains on 200,000 compositions in a minute. Not here: what is made of it (`level1`, `methods.transfer`).
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matstrata.pipelines.learning.leakage import TooFewError
from matstrata.pipelines.learning.models.hurdle import is_zero_inflated
from matstrata.pipelines.learning.models.scales import fit_scale
from matstrata.pipelines.learning.models.source_models import FEWEST, check_blind, fingerprints
from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.samples import Samples

    Floats = NDArray[np.float32]

log = logging.getLogger("matstrata.learning")

NETWORKS = 2  # taught the same from other beginnings; likeness by all of their layers is steadier than by one's
HIDDEN = (512, 256, 128)
EPOCHS = 10
BATCH = 512
RATE = 1e-3  # of Adam, falling to zero along a half cosine
DROPOUT = 0.05
ZEROS_KEPT = 0.3  # of the materials that one source alone knows, and as zero: they are many and teach little
FEWEST_STEPS = 500  # of descent, however few materials there are
FAR = 6.0  # standard deviations at which inputs are held
ROWS = 20_000  # standardised at a time
TUNING_EPOCHS, TUNING_BATCH, TUNING_RATE, TUNING_DROPOUT = 30, 64, 3e-4, 0.2
ROBUST = 0.3  # standard deviations beyond which an experiment's error counts by its size, not its square


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network.

    Attributes:
        centre: (d,) mean of each descriptor.
        spread: (d,) standard deviation of each.
        weights: A matrix and a bias for each layer in turn.
        trained_groups: (g,) sorted fingerprints of the groups it has seen.
    """

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: tuple[Floats, ...]
    trained_groups: NDArray[np.uint64]

    def inputs(self, features: NDArray[Any]) -> Floats:
        """Standardise (m, d) descriptors; a missing one counts as the mean."""
        scaled = np.nan_to_num((features - self.centre) / self.spread).clip(-FAR, FAR)
        return scaled.astype(np.float32)

    def representation(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Describe m materials by the second hidden layer, (m, h), and the outputs, (m, o)."""
        # in double precision: what is said of one material must not depend on what else is asked
        weights = [each.astype(np.float64) for each in self.weights]
        *layers, outputs = _layers(weights, self.inputs(features).astype(np.float64))
        return layers[1], outputs

    def check_blind_to(self, group_ids: NDArray[np.str_]) -> None:
        """Make sure that it has seen none of these groups.

        Raises:
            LeakageError: naming one that it has seen.
        """
        check_blind("the network of all computed sources", self.trained_groups, group_ids)


@dataclass(frozen=True, slots=True)
class Networks:
    """Several networks taught the same, which stand beside the helpers' own models as one more helper.

    What they say of a material is the mean of their outputs; they know no value, and report no property as a source
    does. Their second layers (`level1.Testimony.layers`) tell how alike materials are to all computed sources together.
    """

    networks: tuple[Network, ...]
    source: str = "all computed sources"
    properties: tuple[str, ...] = ()

    def representation(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All layers of m materials side by side, (m, k h), and the mean outputs, (m, o)."""
        said = [network.representation(features) for network in self.networks]
        return np.hstack([layers for layers, _ in said]), np.mean([outputs for _, outputs in said], axis=0)

    def check_blind_to(self, group_ids: NDArray[np.str_]) -> None:
        """Make sure that none has seen any of these groups.

        Raises:
            LeakageError: naming one that was seen.
        """
        for network in self.networks:
            network.check_blind_to(group_ids)


def teach_networks(helpers: Sequence[Samples], exclude_groups: NDArray[np.str_], seed: int) -> list[Networks]:
    """Teach several networks all that the helpers report, but for some groups: a further helper, if enough is left."""
    if not helpers:
        return []
    log.info("teaching networks what all computed sources report")
    try:
        return [Networks(pretrain(helpers, exclude_groups, range(seed, seed + NETWORKS)))]
    except TooFewError:
        return []


def pretrain(helpers: Sequence[Samples], exclude_groups: NDArray[np.str_], seeds: Sequence[int]) -> tuple[Network, ...]:
    """Teach networks all that the helpers report, one for each seed, side by side and from one copy of the inputs.

    Args:
        helpers: Their materials.
        exclude_groups: The target's group_ids, of which nothing is taught.
        seeds: Each fixes what chance decides in one network.

    Raises:
        TooFewError: when there are too few materials.
    """
    lawful = np.flatnonzero(~np.isin(np.concatenate([helper.group_ids for helper in helpers]), exclude_groups))
    names, first, which = np.unique(
        np.concatenate([helper.material_ids for helper in helpers])[lawful], return_index=True, return_inverse=True
    )
    if len(names) < FEWEST:
        raise TooFewError(f"{len(names)} computed materials to learn from; at least {FEWEST} are needed")
    values = _by_material(helpers, lawful, which, len(names))
    known = np.isfinite(values)
    dull = (known.sum(axis=1) == 1) & (np.nan_to_num(values) == 0).all(axis=1)
    kept = np.flatnonzero(~dull | (np.random.default_rng(seeds[0]).random(len(names)) < ZEROS_KEPT))
    inputs = _gather(helpers, lawful[first[kept]])
    centre, spread = np.nanmean(inputs, axis=0), np.nanstd(inputs, axis=0)
    spread[~(spread > 1e-6)] = 1.0
    groups = np.concatenate([helper.group_ids for helper in helpers])[lawful]
    blank = Network(np.nan_to_num(centre), spread, (), np.sort(fingerprints(np.unique(groups))))
    for start in range(0, len(inputs), ROWS):  # in place: with a copy they would take twice the memory
        inputs[start : start + ROWS] = blank.inputs(inputs[start : start + ROWS])
    targets, classes = _targets(values[kept])
    gradient = _helpers_loss(targets, np.isfinite(targets), classes)

    def taught(seed: int) -> Network:
        rng = np.random.default_rng(seed)
        weights = _first_weights((inputs.shape[1], *HIDDEN, targets.shape[1]), rng)
        _descend(weights, inputs, gradient, EPOCHS, BATCH, RATE, DROPOUT, rng)
        return replace(blank, weights=tuple(weights))

    return tuple(side_by_side(partial(taught, seed) for seed in seeds))


def _by_material(
    helpers: Sequence[Samples], rows: NDArray[np.intp], which: NDArray[np.intp], n: int
) -> NDArray[np.float64]:
    """What is reported about n materials, one column for each property of each helper; NaN where nothing is.

    `rows` are positions in all helpers one after the other, and `which` says which material each of these is.
    """
    columns = []
    starts = np.cumsum([0, *(len(helper) for helper in helpers)])
    for helper, (start, end) in zip(helpers, itertools.pairwise(starts), strict=True):
        mine = (rows >= start) & (rows < end)
        for reported in helper.values[rows[mine] - start].T:
            if np.isfinite(reported).any():
                column = np.full(n, np.nan)
                column[which[mine]] = reported
                columns.append(column)
    return np.column_stack(columns)


def fine_tune(network: Network, inputs: Floats, values: NDArray[np.float64], seed: int) -> tuple[Floats, ...]:
    """Go on from a network with one new output for (n,) experiments, all layers free; gives its weights.

    `inputs` (n, d + e) may have e columns more than the network takes: they begin without any say.
    """
    rng = np.random.default_rng(seed)
    wide = np.zeros((inputs.shape[1], network.weights[0].shape[1]), dtype=np.float32)
    wide[: len(network.weights[0])] = network.weights[0]
    output = _first_weights((network.weights[-2].shape[0], 1), rng)
    weights = [wide, *(each.copy() for each in network.weights[1:-2]), *output]
    targets = values.astype(np.float32)[:, None]

    def gradient(rows: NDArray[np.intp], said: Floats) -> Floats:
        pulls: Floats = (said - targets[rows]).clip(-ROBUST, ROBUST) * np.float32(1 / (ROBUST * len(rows)))
        return pulls

    _descend(weights, inputs, gradient, TUNING_EPOCHS, TUNING_BATCH, TUNING_RATE, TUNING_DROPOUT, rng)
    return tuple(weights)


def output(weights: Sequence[Floats], inputs: Floats) -> Floats:
    """The last layer's (m, o) outputs."""
    return _layers(weights, inputs)[-1]


def _gather(helpers: Sequence[Samples], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Rows of all helpers' descriptors one after the other, without copying them all."""
    starts = np.cumsum([0, *(len(helper) for helper in helpers)])
    features = np.empty((len(rows), helpers[0].features.shape[1]), dtype=np.float32)
    for helper, (start, end) in zip(helpers, itertools.pairwise(starts), strict=True):
        mine = (rows >= start) & (rows < end)
        features[mine] = helper.features[rows[mine] - start]
    return features


def _targets(values: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """What each output must say, NaN where nothing, and which outputs are log-odds of not being zero."""
    outputs, classes = [], []
    for column in values.T:
        outputs.append(fit_scale(column).apply(column))
        classes.append(False)
        if is_zero_inflated(column[np.isfinite(column)]):
            size = np.where(column == 0, np.nan, column)
            outputs += [fit_scale(size).apply(size), np.where(np.isnan(column), np.nan, column != 0)]
            classes += [False, True]
    return np.column_stack(outputs).astype(np.float32), np.array(classes)


def _helpers_loss(
    targets: Floats, there: NDArray[np.bool_], classes: NDArray[np.bool_]
) -> Callable[[NDArray[np.intp], Floats], Floats]:
    """Absolute errors beyond one standard deviation, logistic for classes; rare outputs count more, by a root."""
    emphasis = np.sqrt(len(targets) / there.sum(axis=0)).astype(np.float32)
    wanted = np.where(there, targets, np.float32(0))

    def gradient(rows: NDArray[np.intp], said: Floats) -> Floats:
        told = np.where(classes, 1 / (1 + np.exp(-said.clip(-30, 30))), said)
        pulls: Floats = (told - wanted[rows]).clip(-1, 1) * there[rows] * emphasis / np.float32(len(rows))
        return pulls

    return gradient


def _first_weights(sizes: Sequence[int], rng: np.random.Generator) -> list[Floats]:
    weights: list[Floats] = []
    for inside, outside in itertools.pairwise(sizes):
        matrix = rng.standard_normal((inside, outside), dtype=np.float32) * np.float32(np.sqrt(2 / inside))
        weights += [matrix, np.zeros(outside, dtype=np.float32)]
    weights[-2] *= np.float32(0.1)  # first outputs near the mean
    return weights


def _layers(weights: Sequence[NDArray[Any]], inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """All hidden layers' activations, then the outputs."""
    found, signal = [], inputs
    for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        signal = _activate(signal @ matrix + bias)[0]
        found.append(signal)
    return [*found, signal @ weights[-2] + weights[-1]]


def _activate(signal: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The SiLU of a signal and its slope."""
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
    steps = max(epochs * per_epoch, FEWEST_STEPS)
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permutation(len(inputs))
        rows = order[step % per_epoch * batch :][:batch]
        now = rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for k, slope in enumerate(_slopes(weights, inputs[rows], partial(gradient, rows), dropout, rng)):
            first[k] += np.float32(0.1) * (slope - first[k])
            second[k] += np.float32(0.001) * (slope * slope - second[k])
            size = np.sqrt(second[k] / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8)
            weights[k] -= np.float32(now / (1 - 0.9 ** (step + 1))) * first[k] / size


def _slopes(
    weights: Sequence[Floats],
    inputs: Floats,
    gradient: Callable[[Floats], Floats],
    dropout: float,
    rng: np.random.Generator,
) -> list[Floats]:
    """The loss's slope along each weight, by back-propagation."""
    signals: list[Floats] = [inputs]
    slopes: list[Floats] = []
    for matrix, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        signal, slope = _activate(signals[-1] @ matrix + bias)
        kept = (rng.random(signal.shape, dtype=np.float32) >= dropout).astype(np.float32) / np.float32(1 - dropout)
        signals.append(signal * kept)
        slopes.append(slope * kept)
    pull = gradient(signals[-1] @ weights[-2] + weights[-1])
    found: list[Floats] = []
    for k in range(len(signals) - 1, -1, -1):
        found += [pull.sum(axis=0), signals[k].T @ pull]
        if k:
            pull = (pull @ weights[2 * k].T) * slopes[k - 1]
    return found[::-1]
