"""Transfer learning: a network trained on all computed sources, then tuned on experiments.

    y(x) = (n(x) + k(x)) / 2

n is the mean of tuned networks (all layers are trained further), k a kernel ridge regression on descriptors, helper
predictions, and output and hidden layer of the network before tuning: the first adapts, the second is stable where
experiments are few. Not here: the network itself (`models.network`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np

from matstrata.pipelines.learning.models.kernel import KernelRidge, train_kernel_ridge
from matstrata.pipelines.learning.models.network import Network, fine_tune, output, pretrain
from matstrata.pipelines.learning.models.scales import Scale, fit_scale
from matstrata.pipelines.learning.samples import target_values
from matstrata.pipelines.learning.settings import HelperPredictions, View
from matstrata.pipelines.learning.splits import split_units
from matstrata.pipelines.learning.stack.inputs import blocks_of_inputs, view_inputs
from matstrata.pipelines.learning.threads import run_in_parallel
from matstrata.schemas.terms import Setting, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matstrata.pipelines.learning.methods.interface import HelperData
    from matstrata.pipelines.learning.samples import Samples

N_TUNINGS = 3  # networks tuned from the same one; their mean varies less
SETTING_VIEWS: Mapping[Setting, View] = MappingProxyType(
    {Setting.STRICT: View.GIVEN_PREDICTIONS, Setting.KNOWN_DFT: View.GIVEN_KNOWN}
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """The method, with its pretrained network."""

    network: Network
    feature_sets: tuple[int, ...]
    seed: int
    settings: tuple[Setting, ...] = (Setting.STRICT, Setting.KNOWN_DFT)

    @classmethod
    def prepare(cls, data: HelperData) -> Self:
        """Pretrain on everything that the helpers report, without the target's groups.

        Raises:
            LearningError: The helpers report too little.
        """
        (network,) = pretrain(data.helpers, data.group_ids, [data.seed])
        network.check_blind_to(data.group_ids)
        return cls(network, tuple(map(len, data.feature_sets)), data.seed)

    def fit(self, train: Samples, helper_predictions: Sequence[HelperPredictions], setting: Setting) -> FittedTransfer:
        """Tune the network, and fit the kernel."""
        values = target_values(train)
        scale = fit_scale(values)
        scaled = scale.apply(values)
        inputs = self.tuning_inputs(train.features, helper_predictions, setting)
        tuned = run_in_parallel(
            partial(fine_tune, self.network, inputs, scaled, self.seed + number) for number in range(N_TUNINGS)
        )
        joined, layers = self.kernel_inputs(train.features, helper_predictions, setting)
        widths = blocks_of_inputs(joined.shape[1], self.feature_sets, layers)
        kernel = train_kernel_ridge(joined, values, widths, split_units(train, Split.GROUPED_KFOLD), self.seed)
        return FittedTransfer(self, setting, scale, tuple(tuned), kernel)

    def kernel_inputs(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions], setting: Setting
    ) -> tuple[NDArray[np.float64], int]:
        """Join descriptors, helper predictions, and output and hidden layer of the network; and count the latter."""
        layer, outputs = self.network.representation(features)
        of_view = view_inputs(SETTING_VIEWS[setting], features, helper_predictions)
        return np.hstack([of_view, outputs, layer]), layer.shape[1]

    def tuning_inputs(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions], setting: Setting
    ) -> NDArray[np.float32]:
        """Join the network's own inputs and, in the known-DFT setting, the computed values with flags."""
        columns = [self.network.inputs(features)]
        if setting is Setting.KNOWN_DFT:
            computed = view_inputs(View.GIVEN_KNOWN, np.empty((len(features), 0)), helper_predictions)
            columns.append(np.nan_to_num(computed).astype(np.float32))
        return np.hstack(columns)


@dataclass(frozen=True, slots=True)
class FittedTransfer:
    """Tuned networks and the kernel ridge regression."""

    method: Transfer
    setting: Setting
    scale: Scale
    tuned: tuple[tuple[NDArray[np.float32], ...], ...]
    kernel: KernelRidge

    @property
    def summary(self) -> str:
        """Empty: networks have no readable description."""
        return ""

    def predict(
        self, features: NDArray[np.float64], helper_predictions: Sequence[HelperPredictions]
    ) -> NDArray[np.float64]:
        """Average both halves."""
        inputs = self.method.tuning_inputs(features, helper_predictions, self.setting)
        scaled = np.mean([output(weights, inputs)[:, 0] for weights in self.tuned], axis=0)
        tuned = self.scale.invert(scaled.astype(np.float64).clip(self.scale.low, self.scale.high))
        joined, _ = self.method.kernel_inputs(features, helper_predictions, self.setting)
        predicted: NDArray[np.float64] = (tuned + self.kernel.predict(joined)) / 2
        return predicted
