"""Signatures change with what results depend on, and with nothing else."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.lake import code, syntax
from matstrata.store.lake.signatures import code_signature, file_sha256, signature

CORE = '''
"""The core."""
from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from lab import tables
from lab.errors import DataError
from lab.tables import SCALES as scales

log = logging.getLogger("lab")
FACTOR = 2
UNUSED = 3
PATTERN = "one two three four"


@dataclass
class Sample:
    """A sample."""

    mass: float
    """In grams."""

    def heavy(self) -> bool:
        """Whether it is heavy."""
        return self.mass > 5


def compute(sample: Sample, name: str = "a") -> float:
    """Compute."""
    log.info("computing %s", name)
    if sample.mass < 0:
        raise DataError("data.negative", f"the mass of {name} is negative; correct it")
    if name == "one two three":
        return 0.0
    reasons = [fault("text.empty", "the name of the sample is empty") if not name else None]
    return _root(sample.mass) * FACTOR * scales[name] + tables.offset(1) + len(reasons)


def fault(rule: str, reason: str) -> tuple[str, str]:
    return rule, reason


def _root(value: float) -> float:
    return math.sqrt(value)


def other(value: float) -> float:
    return value * UNUSED
'''
TABLES = '''
"""Tables."""
SCALES = {"a": 1.0}
SCALES["b"] = 2.0


def offset(n):
    return n + _MORE


_MORE = 4
_LESS = 5

if __name__ == "__main__":
    print("a program")
'''
ERRORS = "class DataError(Exception):\n    def __init__(self, rule, message):\n        self.rule = rule\n"


class Lab:
    """A package in a folder; `signature` imports it afresh, as a new process would."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.files = {"__init__.py": "", "core.py": CORE, "tables.py": TABLES, "errors.py": ERRORS}
        self.number = 0

    def signature(self, name: str = "compute", **files: str) -> str:
        for module in [each for each in sys.modules if each.partition(".")[0] == "lab"]:
            del sys.modules[module]
        for cache in (code.file_of, code._analysis, code._read):
            cache.cache_clear()
        self.number += 1
        place = self.folder / str(self.number)
        for file, text in (
            self.files | {file.replace("__", "/") + ".py": text for file, text in files.items()}
        ).items():
            (place / "lab" / file).parent.mkdir(parents=True, exist_ok=True)
            (place / "lab" / file).write_text(text)
        self.monkeypatch.syspath_prepend(place)
        importlib.invalidate_caches()
        return code_signature([getattr(importlib.import_module("lab.core"), name)])


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield Lab(tmp_path, monkeypatch)
    for module in [each for each in sys.modules if each.partition(".")[0] == "lab"]:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Compute."""', '"""Compute the number."""'),
        ('    """A sample."""\n', ""),
        ('    """In grams."""\n', ""),
        ("FACTOR = 2", "FACTOR  =  2  # twice"),
        ("sample.mass < 0", "(sample.mass\n        < 0)"),
        ("is negative; correct it", "is below zero; correct it"),
        ("the name of the sample is empty", "the sample has no name"),
        ('log.info("computing %s", name)', 'log.warning("now computing %s of %s", name, sample)'),
        ('    log.info("computing %s", name)\n', ""),
        ("-> float:\n    return math", ":\n    return math"),
        ("value: float) -> float:\n    return math", "value) -> float:\n    return math"),
        ("UNUSED = 3", "UNUSED = 4"),
        ("return value * UNUSED", "return value + UNUSED"),
        ('PATTERN = "one two three four"', 'PATTERN = "four"'),
        ("def other", "def further(value):\n    return 1\n\n\ndef other"),
    ],
    ids=str,
)
def test_what_decides_no_value_does_not_count(lab, old, new):
    assert CORE.count(old) == 1
    assert lab.signature(core=CORE.replace(old, new)) == lab.signature()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2", "FACTOR = 3"),
        ("math.sqrt(value)", "math.cbrt(value)"),
        ("import math", "import cmath as math"),
        ("> 5", "> 6"),
        ("mass: float", "mass: int"),
        ('name: str = "a"', 'name: str = "b"'),
        ("sample.mass < 0", "sample.mass <= 0"),
        ('"data.negative"', '"data.below_zero"'),
        ('"text.empty"', '"text.missing"'),
        ('== "one two three"', '== "one two four"'),
    ],
)
def test_what_decides_values_counts(lab, old, new):
    assert CORE.count(old) == 1
    assert lab.signature(core=CORE.replace(old, new)) != lab.signature()


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ('"a": 1.0', '"a": 1.5', True),
        ('SCALES["b"] = 2.0', 'SCALES["b"] = 2.5', True),
        ("_MORE = 4", "_MORE = 5", True),
        ("return n + _MORE", "return n - _MORE", True),
        ("_LESS = 5", "_LESS = 6", False),
        ('print("a program")', 'print("the program")', False),
    ],
)
def test_other_modules_count_by_what_is_used_of_them(lab, old, new, counts):
    assert (lab.signature(tables=TABLES.replace(old, new)) != lab.signature()) is counts


def test_a_function_depends_on_what_it_uses_alone(lab):
    before = {name: lab.signature(name) for name in ("compute", "other")}
    after = {name: lab.signature(name, core=CORE.replace("UNUSED = 3", "UNUSED = 4")) for name in before}
    assert before["compute"] == after["compute"]
    assert before["other"] != after["other"]


def test_a_moved_file_does_not_count(lab):
    moved = CORE.replace("from lab import tables", "from lab.data import tables").replace(
        "lab.tables", "lab.data.tables"
    )
    assert lab.signature(core=moved, data____init__="", data__tables=TABLES, tables="") == lab.signature()


def test_an_import_in_a_function_counts_like_any_other(lab):
    deferred = CORE.replace("from lab import tables\n", "").replace(
        '    """Compute."""\n', '    """Compute."""\n    from lab import tables\n'
    )
    assert lab.signature(core=deferred) == lab.signature()
    assert lab.signature(core=deferred, tables=TABLES.replace("_MORE = 4", "_MORE = 5")) != lab.signature()


def test_partial_functions_count_with_their_arguments():
    assert code_signature([partial(signature, 1)]) != code_signature([partial(signature, 2)])


def test_code_that_can_not_be_read_is_refused():
    scope: dict = {}
    exec("def typed(x): return x", scope)
    with pytest.raises(InputError, match=r"source of typed can't be read.*define it in a file"):
        code_signature([scope["typed"]])


def test_a_sentence_is_told_from_a_text_that_code_reads():
    original = syntax.syntax_hash
    tree = [
        'def f(con): con.execute("only the best of all")',
        'def f(con): con.execute("only the worst of all")',
        'def f(con): con.append("only the best of all")',
        'def f(con): con.append("only the worst of all")',
    ]
    hashes = [original(syntax.stripped(syntax.ast.parse(text).body[0], {}), frozenset()) for text in tree]
    assert hashes[0] != hashes[1]
    assert hashes[2] == hashes[3]


def test_a_signature_knows_order_of_parts_but_not_of_keys():
    assert signature(1, 2) != signature(2, 1)
    assert signature({"a": 1, "b": 2}) == signature({"b": 2, "a": 1})
    assert signature("1") != signature(1)
    assert signature(["a", "b"]) != signature(["ab"])


def test_a_file_is_hashed_as_it_is(tmp_path):
    (tmp_path / "x").write_bytes(b"\x00data\r\n")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"\x00data\r\n").hexdigest()
