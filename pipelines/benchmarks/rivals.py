"""Other methods on the rows on which the stack is judged: the same training parts, helpers and settings.

Not here: the methods (`pipelines.learning.methods`), nor the stack's figures (`judging`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import numpy as np

from matstrata.pipelines.benchmarks.scores import score
from matstrata.pipelines.learning.evaluation.protocols import Protocol
from matstrata.pipelines.learning.leakage import LearningError
from matstrata.pipelines.learning.methods import METHODS
from matstrata.pipelines.learning.methods.interface import Lessons
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack.ensemble import predict_helpers
from matstrata.pipelines.learning.threads import one_thread

log = logging.getLogger("matstrata.benchmarks")


def judge_method(
    name: str, lessons: Lessons, target: Samples, protocol: Protocol, bounds: tuple[float, float]
) -> dict[str, Any]:
    """Judge one method on a task.

    Args:
        name: Of `METHODS`.
        lessons: What it may learn from the computed sources.
        target: The measured materials; their values are those of the protocol's rows.
        protocol: How rows are tested.
        bounds: Smallest and largest possible value of the property.

    Returns:
        Plain values for JSON: `protocols` by setting, what the fits say of themselves, `seconds`; a `reason` in place
        of figures where the method can't be used.
    """
    started = time.monotonic()
    log.info("the method %s", name)
    says: list[str] = []
    figures = {}
    try:
        method = METHODS[name](lessons)
        with one_thread():
            helper_predictions = predict_helpers(target, lessons.models, lessons.helpers)
            for setting in method.settings:
                values = np.full(len(protocol.measured), np.nan)
                for part in protocol.parts():
                    seen = replace(target.take(part.told), values=part.values[:, None])
                    told, asked = ([each.take(rows) for each in helper_predictions] for rows in (part.told, part.asked))
                    fitted = method.fit(seen, told, setting)
                    values[part.rows] = fitted.predict(target.features[part.asked], asked).clip(*bounds)[part.place]
                    says.append(fitted.says)
                figures[setting.value] = score(values[protocol.tested], protocol.measured[protocol.tested])
    except LearningError as error:
        return {"protocols": {}, "says": [], "reason": str(error), "seconds": 0.0}
    read = list(dict.fromkeys(filter(None, says)))
    return {"protocols": figures, "says": read, "seconds": round(time.monotonic() - started, 1)}
