"""A second process that imports Great Expectations while this one reads: either takes some seconds of one core.

Functions that need GX are called through `in_second_process`; without a second process they run in this one.
Not here: those functions.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar, cast

from matstrata.schemas.errors import WorkError

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")

_running: list[subprocess.Popen[bytes]] = []


@contextmanager
def second_process() -> Iterator[None]:
    """Have the second process while the block runs. It ends with this one, however that ends, for its input ends."""
    process = subprocess.Popen(  # noqa: S603 this very module
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    )
    _running.append(process)
    try:
        yield
    finally:
        _running.remove(process)
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # a request that was not sent to its end
                stream.close()  # type: ignore[union-attr]  # both are pipes
        process.wait()


def in_second_process(function: Callable[_P, _Answer], *arguments: _P.args, **named: _P.kwargs) -> _Answer:
    """Call a function of a module in the second process; in this one, where there is no second.

    Raises:
        WorkError: the second process has ended. Otherwise what the function raises.
    """
    if not _running:
        return function(*arguments, **named)
    requests, answers = _running[-1].stdin, _running[-1].stdout
    assert requests is not None
    assert answers is not None
    try:
        pickle.dump((function, arguments, named), requests, protocol=5)
        requests.flush()
        sound, answer = pickle.load(answers)  # noqa: S301 written by our own process
    except (OSError, EOFError) as error:
        raise WorkError(
            "the process that validates ended before it answered, perhaps for want of memory; run the command again"
        ) from error
    if not sound:
        raise answer
    return cast("_Answer", answer)


def _serve() -> None:
    """Answer until the input ends."""
    from matstrata.schemas.expectations import great_expectations

    gc.set_threshold(100_000, 50, 100)  # what is imported stays, as in `pipelines.cli.entry`
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come among the answers
    great_expectations()
    while True:
        try:
            function, arguments, named = pickle.load(sys.stdin.buffer)  # noqa: S301 written by our own process
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = (True, function(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - it is raised where the function was called
            answer = (False, error)
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    _serve()
