"""The house keeps its rules: sizes of modules and functions, no import circles, names that say what a thing is.

Pure syntax: nothing of the packages is imported, so that a broken module is reported by its own tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("schemas", "store", "pipelines")
MODULE_LINES, FUNCTION_LINES = 400, 80
BLAND_NAMES = frozenset(
    {"found", "told", "asked", "said", "known", "there", "wanted", "others", "mine", "shown", "kept"}
)
BLAND_PER_10_000_LINES = 20
SQL = re.compile(r"\b(?:SELECT .*FROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE (?:TABLE|VIEW)|ORDER BY|WHERE )")
SQL_BESIDE_THE_STORE = {  # modules that put queries together; the first shows them to people
    f"matstrata.pipelines.{name}"
    for name in ("cli.summary", "cli.sql_prompt", "ingest.observations", "learning.jobs", "reports.queries")
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, tuple[Path, str, ast.Module]]:
    """Each module of the packages by its dotted name: its path, its text and its syntax tree."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[f"matstrata.{name}"] = path, text, ast.parse(text, filename=str(path))
    return found


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(PROJECT)}:{getattr(node, 'lineno', 1)}"


def report(rule: str, places: list[str]) -> None:
    """Fail with the rule and all the places that break it."""
    if places:
        pytest.fail("\n  ".join([f"{rule} ({len(places)} places):", *places]), pytrace=False)


def bland_names(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Where a variable, parameter or attribute is given a name of BLAND_NAMES."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                pass
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                pass
            case ast.alias(asname=str(name)):
                pass
            case _:
                continue
        if name in BLAND_NAMES:
            yield name, node


def imports(name: str, path: Path, tree: ast.Module) -> set[str]:
    """The modules of ours that a module imports, wherever in it: also in functions and for type checkers only."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path, node)}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                imported.add(inner if inner in modules() else str(node.module))
    return imported & modules().keys() - {name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules each of which imports all others of its group, directly or not (Tarjan)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], order[target])
        if lowest[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return groups


def test_the_modules_are_seen() -> None:
    assert len(modules()) > 150
    assert {f"matstrata.{package}" for package in PACKAGES} <= modules().keys()


def test_no_module_is_too_long() -> None:
    lengths = {path: len(text.splitlines()) for path, text, _ in modules().values()}
    report(
        f"modules have at most {MODULE_LINES} lines",
        [f"{path.relative_to(PROJECT)}: {lines}" for path, lines in lengths.items() if lines > MODULE_LINES],
    )


def test_no_function_is_too_long() -> None:
    functions = (
        (path, node)
        for path, _, tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = [(place(path, node), node.name, node.end_lineno - node.lineno + 1) for path, node in functions]
    assert len(lengths) > 1000
    report(
        f"functions have at most {FUNCTION_LINES} lines",
        [f"{where} {name}: {lines}" for where, name, lines in lengths if lines > FUNCTION_LINES],
    )


def test_each_module_says_what_it_holds() -> None:
    report(
        "each module has a docstring",
        [str(path.relative_to(PROJECT)) for path, _, tree in modules().values() if not ast.get_docstring(tree)],
    )


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(name, path, tree) for name, (path, _, tree) in modules().items()}
    assert sum(map(len, graph.values())) > 500
    report("no circle of imports", [" <-> ".join(group) for group in circles(graph)])


@pytest.mark.parametrize(
    ("graph", "groups"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
        ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c", "a"}}, [["a", "b"], ["c", "d"]]),
    ],
    ids=["chain", "circle", "two"],
)
def test_a_circle_would_be_seen(graph: dict[str, set[str]], groups: list[list[str]]) -> None:
    assert circles(graph) == groups


def test_code_imports_the_packages_by_the_one_name() -> None:
    """In statements, and in programs that stand in strings and run in a process of their own."""
    bare = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.|$)")
    in_string = re.compile(rf"\b(?:from|import(?: \w+,)*) (?:{'|'.join(PACKAGES)})(?:\.| import | as )")
    folders = [*PACKAGES, "tests", "benchmarks", "matstrata"]
    paths = {path.resolve() for folder in folders for path in (PROJECT / folder).rglob("*.py")}
    places, count = [], 0
    for path in sorted(paths):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=aliases):
                    names = [alias.name for alias in aliases if bare.match(alias.name)]
                case ast.ImportFrom(module=str(module)):
                    names = [module] if bare.match(module) else []
                case ast.Constant(value=str(text)):
                    names = in_string.findall(text)
                case _:
                    continue
            count += 1
            places += [f"{place(path, node)} {name}" for name in names]
    assert count > 1000
    report("import matstrata.<package>", places)


def test_pipelines_holds_folders_and_the_code_location_only() -> None:
    files = {path.name for path in (PROJECT / "pipelines").iterdir() if path.is_file()}
    assert files == {"__init__.py", "definitions.py"}


def test_sql_is_put_together_in_the_store_and_few_other_modules() -> None:
    templates = {
        name: [
            "".join(str(getattr(part, "value", "")) for part in node.values if isinstance(part, ast.Constant))
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
        ]
        for name, (_, _, tree) in modules().items()
    }
    with_sql = {name for name, texts in templates.items() if any(map(SQL.search, texts))}
    assert len(with_sql) > 20
    beside = {name for name in with_sql if not name.startswith("matstrata.store.")} - SQL_BESIDE_THE_STORE
    report("SQL is put together in the store and in SQL_BESIDE_THE_STORE", sorted(beside))


def test_variables_are_named_after_what_they_are() -> None:
    lines = sum(len(text.splitlines()) for _, text, _ in modules().values())
    bland = [f"{place(path, node)} {name}" for path, _, tree in modules().values() for name, node in bland_names(tree)]
    if len(bland) * 10_000 > BLAND_PER_10_000_LINES * lines:
        report(f"at most {BLAND_PER_10_000_LINES} of {sorted(BLAND_NAMES)} per 10,000 lines ({lines} lines)", bland)


def test_tests_mirror_the_packages() -> None:
    """Each folder of tests of a package is named as the folder of what it tests."""
    folders = [
        folder.relative_to(PROJECT / "tests")
        for package in PACKAGES
        for folder in (PROJECT / "tests" / package).rglob("*")
        if folder.is_dir() and any(folder.glob("test_*.py"))
    ]
    assert len(folders) > 15
    report("no such package", [f"tests/{folder}" for folder in folders if not (PROJECT / folder).is_dir()])
