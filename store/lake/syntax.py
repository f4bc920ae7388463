"""What of a definition decides values: its syntax tree, without what people read.

Left out are

- comments, layout, docstrings, and the annotations of functions;
- log lines and warnings;
- imports within the own packages;
- messages: the texts of errors; those for parameters, variables and keys called `reason`, `message` and so on
  (`MESSAGES`); and in functions every text of three words or more that is not compared, searched for, or SQL. A text
  without a space, such as the id of a rule, counts.

Not here: which definitions count (`store.lake.code`).
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MESSAGES = frozenset(
    {"reason", "message", "meaning", "remedy", "hint", "title", "definition", "description", "problem", "advice"}
)
"""Names of parameters, variables and keys whose texts people read and nothing computes with."""

_LOGGERS = frozenset({"log", "logger", "logging", "warnings"})
_ERRORS = ("Error", "Warning", "Exception")
_SQL = re.compile(r"\b(SELECT|FROM|WHERE|JOIN|CASE|INSERT|UPDATE|DELETE|CREATE|SET|WITH|CAST)\b")
_READING = frozenset(
    {"execute", "sql", "compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split", "startswith"}
    | {
        "endswith",
        "replace",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
        "count",
        "index",
        "find",
        "get",
    }
)  # calls that look for their texts, or run them


def stripped(statement: ast.stmt, parameters: Mapping[str, tuple[str, ...]]) -> ast.stmt | None:
    """A copy of a statement without docstrings, log lines and messages; None where nothing is left.

    Args:
        statement: a function, class, assignment or other statement of a module.
        parameters: the parameters, in order, of functions and classes that it calls by name.
    """
    tree = copy.deepcopy(statement)
    result: ast.stmt | None = _Stripped(tree, parameters).visit(tree)
    return result


def syntax_hash(tree: ast.stmt, own: frozenset[str]) -> str:
    """SHA-256 of a syntax tree, whatever its annotations of functions and its imports from the `own` packages.

    Nor does the version of Python count, between which `ast.dump` differs. The tree is used up.
    """
    words: list[str] = []
    _spell(_Undocumented(own).visit(tree), words)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def module_hash(file: Path) -> str:
    """SHA-256 of all that a file of Python says, whatever its comments and layout."""
    words: list[str] = []
    _spell(ast.parse(file.read_text(encoding="utf-8")), words)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a text and nothing else: it documents a module, class, function or attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_log(statement: ast.stmt) -> bool:
    """Whether a statement only logs or warns."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    function: ast.expr = statement.value.func
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id in _LOGGERS


def _is_text(node: ast.expr | None) -> bool:
    """Whether an expression is a text that people read: it holds a space."""
    match node:
        case ast.Constant(value=str(text)):
            return any(map(str.isspace, text))
        case ast.JoinedStr(values=parts):
            return any(map(_is_text, parts))
        case ast.BinOp(left=left, right=right):
            return _is_text(left) or _is_text(right)
        case ast.IfExp(body=left, orelse=right):
            return _is_text(left) or _is_text(right)
        case ast.Call(func=ast.Attribute(value=text, attr="format" | "join")):
            return _is_text(text)
    return False


def _is_prose(node: ast.AST) -> bool:
    """Whether a text is a sentence or a part of one: three words or more, not SQL."""
    if not isinstance(node, ast.Constant | ast.JoinedStr):
        return False
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = " _ ".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))
    words = [word.strip(".,;:!?()'\"") for word in text.split()]
    return sum(len(word) > 1 and word.isalpha() for word in words) > 2 and not _SQL.search(text)


def _read_texts(tree: ast.AST) -> Iterator[ast.AST]:
    """The texts that code compares, looks for or runs: what they say decides values."""
    for node in ast.walk(tree):
        places: Iterable[ast.AST | None] = ()
        if isinstance(node, ast.Compare):
            places = (node.left, *node.comparators)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _READING:
            places = node.args
        elif isinstance(node, ast.Subscript):
            places = (node.slice,)
        elif isinstance(node, ast.Dict):
            places = node.keys
        elif isinstance(node, ast.match_case):
            places = (node.pattern,)
        for place in places:
            if place is not None:
                yield from ast.walk(place)


class _Stripped(ast.NodeTransformer):
    """Takes docstrings, log lines and messages out of a statement."""

    def __init__(self, tree: ast.AST, parameters: Mapping[str, tuple[str, ...]]) -> None:
        self._parameters = parameters
        self._read = set(map(id, _read_texts(tree)))
        self._depth = 0  # of functions around

    def visit(self, node: ast.AST) -> Any:
        """Count the functions around a node."""
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        self._depth += is_function
        result = super().visit(node)
        self._depth -= is_function
        return result

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Drop a sentence in a function."""
        return self._sentence(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Drop a sentence in a function, and what is computed to be shown in it."""
        return self._sentence(node)

    def _sentence(self, node: ast.Constant | ast.JoinedStr) -> ast.AST:
        if self._depth and id(node) not in self._read and _is_prose(node):
            return ast.Constant("")
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Drop the statements of a body that decide no value."""
        super().generic_visit(node)
        for part in ("body", "orelse", "finalbody"):
            statements = getattr(node, part, None)
            if isinstance(statements, list):
                setattr(node, part, [each for each in statements if not is_docstring(each) and not _is_log(each)])
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop a log line of the module itself."""
        return None if _is_log(node) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop a condition under which nothing happens but a log line."""
        self.generic_visit(node)
        return node if node.body or node.orelse else None

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Drop what an assertion says."""
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop the texts of errors, and those for parameters that are messages."""
        function = node.func
        called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        parameters = self._parameters.get(called, ())
        for place, argument in enumerate(node.args):
            is_message = place < len(parameters) and parameters[place] in MESSAGES
            if (is_message or called.endswith(_ERRORS)) and _is_text(argument):
                node.args[place] = ast.Constant("")
        for keyword in node.keywords:
            if (keyword.arg in MESSAGES or called.endswith(_ERRORS)) and _is_text(keyword.value):
                keyword.value = ast.Constant("")
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """Drop the text of a variable that is a message."""
        if _is_text(node.value) and all(isinstance(each, ast.Name) and each.id in MESSAGES for each in node.targets):
            node.value = ast.Constant("")
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """Drop the texts under keys that are messages."""
        for place, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            if isinstance(key, ast.Constant) and key.value in MESSAGES and _is_text(value):
                node.values[place] = ast.Constant("")
        return self.generic_visit(node)


class _Undocumented(ast.NodeTransformer):
    """Takes the annotations of functions and the imports within the own packages out of a statement."""

    def __init__(self, own: frozenset[str]) -> None:
        self._own = own

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the annotation of a parameter."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the annotation of what is returned."""
        node.returns = None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Drop an import within the packages: what it brings counts by its definition."""
        return None if node.level or (node.module or "").partition(".")[0] in self._own else node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        """As `visit_ImportFrom`."""
        return None if all(alias.name.partition(".")[0] in self._own for alias in node.names) else node


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
