"""Transfer: a network taught by all computed sources, then tuned on experiment.

Half of the prediction is that of the tuned network (all layers go on learning), half a kernel ridge over descriptors,
the helpers' word and the network's layers as they were taught: the first adapts, the second is steady where experiments
are few. Not here: the network itself (`network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipelines.learning.level1 import GAMMA, Setting, View, view_inputs
from pipelines.learning.network import Network, fine_tune, output, pretrain
from pipelines.learning.samples import target_values
from pipelines.learning.scales import Scale, fit_scale
from pipelines.learning.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipelines.learning.level1 import Testimony
    from pipelines.learning.methods.interface import Lessons
    from pipelines.learning.samples import Samples

TUNINGS = 3  # networks tuned from the same one; their mean is steadier
NOISE = 0.03  # of the kernel, as a share of the variance
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
        network = pretrain(lessons.lawful(), lessons.seed)
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
        blocks = (*self.feature_sets, joined.shape[1] - sum(self.feature_sets), layers.shape[1])
        kernel = fit_kernel(np.hstack([joined, layers]), values, blocks)
        return FittedTransfer(self, setting, scale, tuple(tuned), kernel)

    def joined(
        self, features: NDArray[np.float64], testimonies: Sequence[Testimony], setting: Setting
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The kernel's inputs: descriptors with the helpers' word, and the network's layers."""
        return view_inputs(VIEW[setting], features, testimonies), self.network.representation(features)

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
    kernel: Any

    @property
    def says(self) -> str:
        """Nothing that can be read."""
        return ""

    def predict(self, features: NDArray[np.float64], asked: Sequence[Testimony]) -> NDArray[np.float64]:
        """Mean of both halves."""
        inputs = self.method.tuning_inputs(features, asked, self.setting)
        scaled = np.mean([output(weights, inputs)[:, 0] for weights in self.tuned], axis=0)
        tuned = self.scale.invert(scaled.astype(np.float64).clip(self.scale.low, self.scale.high))
        joined = np.hstack(self.method.joined(features, asked, self.setting))
        predicted: NDArray[np.float64] = (tuned + self.kernel.predict(joined)) / 2
        return predicted


def fit_kernel(inputs: NDArray[np.float64], values: NDArray[np.float64], blocks: Sequence[int]) -> Any:
    """Fit a Laplacian kernel ridge in which each block of columns has the same say, however wide it is.

    Args:
        inputs: (n, d) columns.
        values: (n,) measured values.
        blocks: Numbers of columns that belong together, d in all.
    """
    from sklearn.compose import TransformedTargetRegressor  # deferred: 1.5 s
    from sklearn.impute import SimpleImputer
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer, scaler = SimpleImputer(strategy="median", keep_empty_features=True).fit(inputs), StandardScaler()
    varies = scaler.fit(imputer.transform(inputs)).var_ > 0
    block_of = np.repeat(np.arange(len(blocks)), blocks)
    widths = np.bincount(block_of, weights=varies, minlength=len(blocks))
    scaler.scale_ = scaler.scale_ * widths.clip(1)[block_of]
    ridge = TransformedTargetRegressor(
        KernelRidge(kernel="laplacian", alpha=NOISE, gamma=GAMMA / max(1, int((widths > 0).sum()))),
        transformer=StandardScaler(),
    )
    ridge.fit(scaler.transform(imputer.transform(inputs)), values)
    return make_pipeline(imputer, scaler, ridge)
