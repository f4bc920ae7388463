"""Signatures: hashes that stay the same exactly as long as results would.

Not here: which code counts (`store.lake.code`), and what of it (`store.lake.syntax`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from matstrata.store.lake.code import Root, reachable_code, unwrapped

PACKAGES = ("matstrata.schemas", "matstrata.pipelines")
"""Where definitions decide values. Not the store: it keeps and finds them."""

_DECLARATIONS = ("matstrata.schemas.tables", "matstrata.schemas.rules")
"""Declarations that decide no value: a table more, or another sentence about a rule, makes nothing stale."""


def signature(*parts: Any) -> str:
    """SHA-256 of JSON-serializable parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def code_signature(roots: Iterable[Root], excluded: Collection[str] = ()) -> str:
    """SHA-256 over the code on which the results of some functions depend.

    Args:
        roots: the functions; of classes, all methods count. The packages of other projects' functions are followed too.
        excluded: dotted names of packages whose code they don't reach in this case.

    Raises:
        InputError: the source of a root can't be read.
    """
    roots = list(roots)
    foreign = {(root.__module__ or "").partition(".")[0] for root in map(unwrapped, roots)} - {"matstrata", ""}
    return signature(reachable_code(roots, (*PACKAGES, *foreign), (*_DECLARATIONS, *excluded)))


@lru_cache(maxsize=1024)
def file_sha256(path: Path) -> str:
    """SHA-256 of a file that doesn't change while the process runs."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
