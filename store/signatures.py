"""Signatures: hashes that stay the same exactly as long as results would.

A code signature is taken from the syntax tree without docstrings, so comments, layout and documentation don't count.
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
    """SHA-256 of JSON-serialisable parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def code_signature(paths: Iterable[Path]) -> str:
    """SHA-256 over the code of Python files (folders: all of theirs), whatever their comments and docstrings."""
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return signature([(file.name, _tree(file)) for file in files])


@lru_cache(maxsize=256)
def _tree(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


@lru_cache(maxsize=1024)
def file_sha256(path: Path) -> str:
    """SHA-256 of a file that doesn't change while the process runs."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
