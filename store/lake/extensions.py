"""DuckDB's extensions, loaded from the wheels that carry them: nothing is downloaded at run time.

Not here: what they attach (`store.lake.catalogs`, `store.lake.files`).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from matstrata.schemas.errors import WorkError
from matstrata.store.lake.sql import literal


def connect(*extensions: str) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB with these extensions.

    Raises:
        WorkError: An extension's wheel is not installed, or was built for another DuckDB.
    """
    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # DuckDB would hash 70 MB on every connection (0.3 s); pip verified the wheels when it installed them
            "allow_unsigned_extensions": "true",
        }
    )
    con.execute("SET enable_progress_bar = true")  # for `query_progress`; it prints nothing itself
    con.execute("SET enable_progress_bar_print = false")
    con.execute("SET TimeZone = 'UTC'")  # 0.8 ms; otherwise times are shown and compared in the machine's time zone
    for name in extensions:
        con.execute(f"LOAD {literal(str(extension_file(name)))}")
    return con


def extension_file(name: str) -> Path:
    """The file of an extension, in its wheel."""
    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")) if folders else []
    if not files:
        raise WorkError(
            f"DuckDB {duckdb.__version__} needs the wheel {package.replace('_', '-')}=={duckdb.__version__}; "
            "install the pinned requirements again"
        )
    return files[0]
