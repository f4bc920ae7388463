"""Transfer: a network taught by all computed sources, then tuned on experiment.

Half of the prediction is that of the tuned network (all layers go on learning), half a kernel ridge over descriptors,
the helpers' word and the network's layers as they were taught: the first adapts, the second is steady where experiments
are few. Not here: the network itself (`network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from matstrata.pipelines.learning.models.kernel import Kernel, train_kernel
from matstrata.pipelines.learning.models.network import Network, fine_tune, output, pretrain
from matstrata.pipelines.learning.models.scales import Scale, fit_scale
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.splits import Split, split_units
from matstrata.pipelines.learning.stack.level1 import Setting, View, blocks_of_inputs, view_inputs
from matstrata.pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import Lessons
    from matstrata.pipelines.learning.samples import Samples
    from matstrata.pipelines.learning.stack.level1 import Testimony

TUNINGS = 3  # networks tuned from the same one; their mean is steadier
VIEW = {Setting.STRICT: View.GIVEN_PREDICTIONS, Setting.KNOWN_DFT: View.GIVEN_KNOWN}


@dataclass(frozen=True, slots=True)
class Transfer:
    """The method, with its pre-trained network."""

    network: Network
    feature_sets: tuple[int, ...]
    seed: int
    settings: tuple[Setting, ...] = (Setting.STRICT, Setting.KNOWN_DFT)

    @classmethod
    def taught(cls, lessons: Lessons) -> Self:
        """Pre-train on all that the helpers report, without the target's groups.

        Raises:
            LearningError: when the helpers report too little.
        """
        (network,) = pretrain(lessons.helpers, lessons.group_ids, [lessons.seed])
        network.check_blind_to(lessons.group_ids)
        return cls(network, tuple(map(len, lessons.feature_sets)), lessons.seed)

    def fit(self, seen: Samples, told: Sequence[Testimony], setting: Setting) -> FittedTransfer:
        """Tune the network, and fit the kernel over its layers."""
        values = target_values(seen)
        scale = fit_scale(values)
        scaled = scale.apply(values)
        inputs = self.tuning_inputs(seen.features, told, setting)
        tuned = side_by_side(
            partial(fine_tune, self.network, inputs, scaled, self.seed + number) for number in range(TUNINGS)
        )
        joined, layers = self.joined(seen.features, told, setting)
        widths = blocks_of_inputs(joined.shape[1], self.feature_sets, layers)
        kernel = train_kernel(joined, values, widths, split_units(seen, Split.GROUPED_KFOLD), self.seed)
        return FittedTransfer(self, setting, scale, tuple(tuned), kernel)

    def joined(
        self, features: NDArray[np.float64], testimonies: Sequence[Testimony], setting: Setting
    ) -> tuple[NDArray[np.float64], int]:
        """The kernel's inputs: descriptors with the helpers' word, the network's outputs and layer; and its width."""
        layer, outputs = self.network.representation(features)
        return np.hstack([view_inputs(VIEW[setting], features, testimonies), outputs, layer]), layer.shape[1]

    def tuning_inputs(
        self, features: NDArray[np.float64], testimonies: Sequence[Testimony], setting: Setting
    ) -> NDArray[np.float32]:
        """The network's own inputs, and in the known-DFT setting, the computed values with flags."""
        columns = [self.network.inputs(features)]
        if setting is Setting.KNOWN_DFT:
            known = view_inputs(View.GIVEN_KNOWN, np.empty((len(features), 0)), testimonies)
            columns.append(np.nan_to_num(known).astype(np.float32))
        return np.hstack(columns)


@dataclass(frozen=True, slots=True)
class FittedTransfer:
    """Tuned networks and the kernel ridge."""

    method: Transfer
    setting: Setting
    scale: Scale
    tuned: tuple[tuple[NDArray[np.float32], ...], ...]
    kernel: Kernel

    @property
    def says(self) -> str:
        """Nothing that can be read."""
        return ""

    def predict(self, features: NDArray[np.float64], asked: Sequence[Testimony]) -> NDArray[np.float64]:
        """Mean of both halves."""
        inputs = self.method.tuning_inputs(features, asked, self.setting)
        scaled = np.mean([output(weights, inputs)[:, 0] for weights in self.tuned], axis=0)
        tuned = self.scale.invert(scaled.astype(np.float64).clip(self.scale.low, self.scale.high))
        joined, _ = self.method.joined(features, asked, self.setting)
        predicted: NDArray[np.float64] = (tuned + self.kernel.predict(joined)) / 2
        return predicted
