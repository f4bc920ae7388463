"""How learning uses the cores: independent fits in parallel, each in one thread.

Threads inside a fit (OpenMP) wait for each other by spinning: on a machine with other work they made a fit five times
slower than a single thread does, and their number changes the last digits of the result. Not here: what is fitted.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

CORES = 2
T = TypeVar("T")


@cache
def _libraries() -> Any:
    """Find the numerical libraries once (20 ms)."""
    import sklearn.ensemble  # noqa: F401  its libraries must be loaded to be found; deferred: 1.5 s
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Limit linear algebra and OpenMP to the calling thread."""
    limits: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limits


def run_in_parallel(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run independent tasks on the cores, and return their results in order."""

    def limit_openmp() -> None:
        _libraries().limit(limits=1, user_api="openmp")  # OpenMP keeps this number for each thread, so each sets it

    # scikit-learn (1.9) sets and resets the warning filters for each tree; two threads that do so leave the filters
    # broken, and warn of it. So the filters are restored, and that one warning is dropped.
    with (
        warnings.catch_warnings(record=True) as caught,
        one_thread(),
        ThreadPoolExecutor(CORES, initializer=limit_openmp) as pool,
    ):
        results = list(pool.map(lambda task: task(), tasks))
    for warning in caught:
        if "sklearn.utils.parallel.delayed" not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return results
