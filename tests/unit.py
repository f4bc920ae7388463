"""Which tests are unit tests: those that start no process, and with it no command, no server and no browser.

Read off the compiled code of a test, of its fixtures and of whatever of `tests` these call, so that no list of names
has to be kept; `make test-unit` runs them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator

import pytest

FOLDERS = ("end_to_end", "shared_store", "stress")  # of tests of the whole: stores with trained models, servers
PROCESSES = frozenset({"subprocess", "Popen", "multiprocessing", "sync_playwright", "ProcessPoolExecutor"})


def is_unit(item: pytest.Item) -> bool:
    """Tell whether a test starts no process, as far as its code says."""
    if any(folder in item.path.parts for folder in FOLDERS) or not isinstance(item, pytest.Function):
        return False
    seen: set[types.CodeType] = set()
    functions = [item.function, *_fixtures(item)]
    return not any(name in PROCESSES for function in functions for name in _names(function, seen))


def _fixtures(item: pytest.Function) -> Iterator[Callable[..., object]]:
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        yield definitions[-1].func


def _names(function: Callable[..., object], seen: set[types.CodeType]) -> Iterator[str]:
    """All names in the code of a function, and in that of the functions and classes of `tests` that it mentions."""
    function = getattr(function, "__wrapped__", function)
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or function.__code__ in seen:
        return
    seen.add(function.__code__)
    names = set(_mentioned(function.__code__))
    yield from names
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("tests."):
            members = [vars(value).get(inner) for inner in names]
        elif isinstance(value, type):
            members = list(vars(value).values())
        else:
            members = [value]
        for member in members:
            if str(getattr(member, "__module__", "")).startswith("tests."):
                yield from _names(member, seen)


def _mentioned(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _mentioned(constant)
