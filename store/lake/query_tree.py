"""What a statement reads and calls, judged by the tree that DuckDB's own parser makes of it.

Relations and functions are allowed by name; kinds of nodes too, so that syntax that is not known here is refused. Not
here: the functions (`store.lake.query_functions`), which statements may run at all (`store.lake.query`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NoReturn

from matstrata.schemas.errors import InputError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.catalogs import CATALOG
from matstrata.store.lake.query_functions import FUNCTIONS, TABLE_FUNCTIONS
from matstrata.store.lake.views import VIEWS, WIDE

_RELATIONS = frozenset({*TABLES, *VIEWS, WIDE})
_FEATURE_SET = re.compile(r"[a-z0-9_]+_v[0-9]+")
_MAIN = {("", ""), ("", "main"), ("", CATALOG), (CATALOG, ""), (CATALOG, "main")}  # (database, schema)
_FEATURES = {("", "features"), (CATALOG, "features")}
_STANDARD = {("", "information_schema"), (CATALOG, "information_schema")}
_STANDARD_VIEWS = {"columns", "schemata", "tables"}
_RECURRING = ("", "recurring")  # what a recursive query USING KEY has so far
_LISTINGS = {"", '"tables"', '"databases"', '"schemas"', "__show_tables_expanded"}  # of SHOW

_EXPRESSIONS = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT"),
    *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE"),
    "WINDOW",
}
_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SOURCES = {
    *("BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION"),
}

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)  # as DuckDB compares names: a Kelvin sign is no k to it

Names = frozenset[str]
Node = dict[str, Any]


def require_public(statement: Node) -> None:
    """Check that a statement reads the store's public relations only, and calls functions that only compute.

    Args:
        statement: The statement as `json_serialize_sql` tells it.

    Raises:
        InputError: It reads or calls something else.
    """
    pending: list[tuple[Any, Names]] = [(statement, frozenset())]
    while pending:
        node, names = pending.pop()
        if isinstance(node, list):
            pending += [(each, names) for each in node]
        elif isinstance(node, dict):
            pending += _inner(node, names)


def _inner(node: Node, names: Names) -> Iterator[tuple[Any, Names]]:
    """Judge a node; its parts with the names of the WITH queries that each can see."""
    kind = str(node.get("type", ""))
    if "class" in node:
        if node["class"] not in _EXPRESSIONS:
            _refuse(f"the expression {node['class']}")
        if "function_name" in node:
            _require_function(node["function_name"], FUNCTIONS)
    elif "cte_map" in node:
        if kind not in _QUERIES:
            _refuse(kind)
        for entry in node["cte_map"]["map"]:
            yield entry["value"], names
            names |= {entry["key"].translate(_LOWER)}
        node = {key: part for key, part in node.items() if key != "cte_map"}
        if kind in ("RECURSIVE_CTE_NODE", "CTE_NODE"):  # its first part does not see itself
            first = "left" if kind == "RECURSIVE_CTE_NODE" else "query"
            yield node.pop(first, None), names
            names |= {str(node.get("cte_name", node.get("ctename", ""))).translate(_LOWER)}
    elif "sample" in node and "alias" in node:
        if kind not in _SOURCES:
            _refuse(kind)
        if kind == "BASE_TABLE":
            _require_relation(node, names)
        elif kind == "SHOW_REF":
            _require_listing(node)
        elif kind == "TABLE_FUNCTION":
            function = node["function"]
            _require_function(function.get("function_name", ""), TABLE_FUNCTIONS, "table ")
            yield function.get("children"), names
            node = {key: part for key, part in node.items() if key != "function"}
    for part in node.values():
        if isinstance(part, dict | list):
            yield part, names


def _refuse(what: str) -> NoReturn:
    raise InputError(f"SQL here does not know {what}")


def _require_function(name: str, allowed: frozenset[str], of: str = "") -> None:
    if name.translate(_LOWER) not in allowed:
        listed = f"; those to use are {', '.join(sorted(allowed))}" if of else _hint(name, allowed)
        raise InputError(
            f"SQL here reads the store only, and the {of}function {name} is not among those that do{listed}"
        )


def _hint(name: str, allowed: frozenset[str]) -> str:
    close = get_close_matches(name.translate(_LOWER), sorted(allowed), 1, 0.75)
    return f'. Did you mean "{close[0]}"?' if close else ""


def _require_relation(node: Node, names: Names) -> None:
    name = node["table_name"].translate(_LOWER)
    place = node["catalog_name"].translate(_LOWER), node["schema_name"].translate(_LOWER)
    if (
        (place in (("", ""), _RECURRING) and name in names)
        or (place in _MAIN and name in _RELATIONS)
        or (place in _FEATURES and _FEATURE_SET.fullmatch(name))
        or (place in _STANDARD and name in _STANDARD_VIEWS)
    ):
        return
    full = ".".join(part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part)
    raise InputError(
        f"SQL here reads the store's tables, and {full} is not one; SHOW ALL TABLES lists them{_hint(name, _RELATIONS)}"
    )


def _require_listing(node: Node) -> None:
    """SHOW TABLES and the like; of DESCRIBE and SUMMARIZE, the query within is judged."""
    place = node["catalog_name"].translate(_LOWER), node["schema_name"].translate(_LOWER)
    if node["table_name"] not in _LISTINGS or place not in _MAIN | _FEATURES:
        _refuse(f"SHOW {'.'.join(filter(None, (*place, node['table_name'])))}")
