"""Signatures change with what results depend on, and with nothing else."""

from __future__ import annotations

import hashlib

import pytest

from matstrata.store.lake.signatures import code_signature, file_sha256, signature

CODE = '"""Module."""\nimport math\n\nclass A:\n    """A."""\n    x = 1\n    """One."""\n\n    def f(self):\n        """Say."""\n        return "text"\n'


def of(folder, code: str) -> str:
    folder.mkdir()
    (folder / "m.py").write_text(code)
    return code_signature([folder])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Module."""\n', ""),
        ('"""A."""', '"""B."""'),
        ("x = 1", "x  =  1  # one"),
        ('"""Say."""', '"""Tell."""'),
        ('"""One."""', '"""The number one."""'),
        ('    """One."""\n', ""),
        ('"text"', "'text'"),
    ],
)
def test_documentation_and_layout_do_not_count(tmp_path, old, new):
    assert of(tmp_path / "a", CODE) == of(tmp_path / "b", CODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("x = 1", "x = 2"), ('"text"', '"Text"'), ("import math\n", ""), ("def f", "async def f")]
)
def test_code_counts(tmp_path, old, new):
    assert of(tmp_path / "a", CODE) != of(tmp_path / "b", CODE.replace(old, new))


def test_a_file_more_counts(tmp_path):
    before = of(tmp_path / "a", CODE)
    (tmp_path / "a" / "sub").mkdir()
    (tmp_path / "a" / "sub" / "n.py").write_text("")
    assert code_signature([tmp_path / "a"]) != before


def test_a_signature_knows_order_of_parts_but_not_of_keys():
    assert signature(1, 2) != signature(2, 1)
    assert signature({"a": 1, "b": 2}) == signature({"b": 2, "a": 1})
    assert signature("1") != signature(1)
    assert signature(["a", "b"]) != signature(["ab"])


def test_a_file_is_hashed_as_it_is(tmp_path):
    (tmp_path / "x").write_bytes(b"\x00data\r\n")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"\x00data\r\n").hexdigest()
