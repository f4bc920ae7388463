"""Other methods on the rows on which the stack is judged: the same training parts, helpers and settings.

Not here: the methods (`pipelines.learning.methods`), nor the folds (`judging`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.benchmarks.scores import score
from pipelines.learning.errors import LearningError
from pipelines.learning.level1 import Setting, Testimony
from pipelines.learning.methods import METHODS
from pipelines.learning.methods.interface import Lessons
from pipelines.learning.samples import Samples
from pipelines.learning.threads import one_thread

log = logging.getLogger("matstrata.benchmarks")


class Rival:
    """One method and what it said so far about n rows; where it can't be used, why."""

    def __init__(self, name: str, lessons: Lessons, n: int) -> None:
        started = time.monotonic()
        self._name = name
        self._reason = ""
        self._says: list[str] = []
        self._values: dict[Setting, NDArray[np.float64]] = {}
        log.info("teaching the method %s", name)
        try:
            self._method = METHODS[name](lessons)
        except LearningError as error:
            self._reason = str(error)
        else:
            self._values = {setting: np.full(n, np.nan) for setting in self._method.settings}
        self._seconds = time.monotonic() - started

    def meet(
        self,
        seen: Samples,
        told: Sequence[Testimony],
        features: NDArray[np.float64],
        asked: Sequence[Testimony],
        rows: NDArray[np.intp],
        place: NDArray[np.intp],
        bounds: tuple[float, float],
    ) -> None:
        """Fit on one training part, and predict the materials (m, d) that stand at `place` for the tested `rows`."""
        started = time.monotonic()
        for setting, values in self._values.items():
            with one_thread():
                fitted = self._method.fit(seen, told, setting)
                values[rows] = fitted.predict(features, asked).clip(*bounds)[place]
            if fitted.says and fitted.says not in self._says:
                self._says.append(fitted.says)
        self._seconds += time.monotonic() - started

    def figures(self, measured: NDArray[np.float64], tested: NDArray[np.intp]) -> dict[str, Any]:
        """Errors by setting over the tested rows, as plain values."""
        by_setting = {setting.value: score(values[tested], measured) for setting, values in self._values.items()}
        found = {"protocols": by_setting, "says": self._says, "seconds": round(self._seconds, 1)}
        return found | ({"reason": self._reason} if self._reason else {})
