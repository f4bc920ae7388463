"""Signatures: hashes that stay the same exactly as long as results would.

A code signature is taken from the syntax tree without docstrings, those of attributes too, so comments, layout and
documentation don't count.
Nor does the version of Python: what `ast.dump` leaves out of a tree differs between them.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any


def signature(*parts: Any) -> str:
    """SHA-256 of JSON-serializable parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def code_signature(paths: Iterable[Path]) -> str:
    """SHA-256 over the code of Python files (folders: all of theirs), whatever their comments and docstrings."""
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return signature([(file.name, _tree(file)) for file in files])


@lru_cache(maxsize=256)
def _tree(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_docstring(each)]
    words: list[str] = []
    _spell(tree, words)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a text and nothing else: it documents a module, class, function or attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _spell(node: Any, words: list[str]) -> None:
    """Append a syntax tree as words, without the fields that are empty: newer Pythons have more of those."""
    if isinstance(node, ast.AST):
        words += [type(node).__name__, "("]
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != []:
                words.append(name)
                _spell(value, words)
        words.append(")")
    elif isinstance(node, list):
        words.append("[")
        for item in node:
            _spell(item, words)
        words.append("]")
    else:
        words.append(repr(node))


@lru_cache(maxsize=1024)
def file_sha256(path: Path) -> str:
    """SHA-256 of a file that doesn't change while the process runs."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
