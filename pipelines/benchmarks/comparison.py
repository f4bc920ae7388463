"""Other methods on the rows on which the stack is evaluated: the same training parts, helpers and settings.

Not here: the methods (`pipelines.learning.methods`), nor the stack's figures (`evaluation`).
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
from matstrata.pipelines.learning.methods.interface import HelperData
from matstrata.pipelines.learning.samples import Samples
from matstrata.pipelines.learning.stack.inputs import predict_helpers
from matstrata.pipelines.learning.threads import one_thread

log = logging.getLogger("matstrata.benchmarks")


def evaluate_method(
    name: str, data: HelperData, target: Samples, protocol: Protocol, bounds: tuple[float, float]
) -> dict[str, Any]:
    """Evaluate one method on a task.

    Args:
        name: A name in `METHODS`.
        data: What it may use of the computed sources.
        target: The measured materials; their values are those of the protocol's rows.
        protocol: How rows are tested.
        bounds: Smallest and largest possible value of the property.

    Returns:
        Plain values for JSON: `protocols` by setting, `summaries` of the fits, `seconds`; a `reason` in place of
        figures where the method cannot be used.
    """
    started = time.monotonic()
    log.info("the method %s", name)
    summaries: list[str] = []
    figures = {}
    try:
        method = METHODS[name](data)
        with one_thread():
            helper_predictions = predict_helpers(target, data.models, data.helpers)
            for setting in method.settings:
                values = np.full(len(protocol.measured), np.nan)
                for part in protocol.parts():
                    train = replace(target.take(part.train), values=part.values[:, None])
                    of_train, of_test = (
                        [each.take(rows) for each in helper_predictions] for rows in (part.train, part.test)
                    )
                    fitted = method.fit(train, of_train, setting)
                    predicted = fitted.predict(target.features[part.test], of_test).clip(*bounds)
                    values[part.rows] = predicted[part.test_position]
                    summaries.append(fitted.summary)
                figures[setting.value] = score(values[protocol.tested], protocol.measured[protocol.tested])
    except LearningError as error:
        return {"protocols": {}, "summaries": [], "reason": str(error), "seconds": 0.0}
    distinct = list(dict.fromkeys(filter(None, summaries)))
    return {"protocols": figures, "summaries": distinct, "seconds": round(time.monotonic() - started, 1)}
