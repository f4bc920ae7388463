"""The code that decides what a function returns: its definition, and all definitions that it refers to.

From a function on, names are followed to the functions, classes, constants and imports that they mean, in its own
module and in the packages that count. A definition that nothing refers to makes no difference, nor does the file in
which a definition stands, nor do modules that only import each other.
Not here: what of a definition counts (`store.lake.syntax`), hashes of data, and versions of libraries
(`store.lake.signatures`).
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matstrata.schemas.errors import InputError
from matstrata.store.lake.syntax import is_docstring, stripped, syntax_hash

_EFFECTS = "<module>"  # the statements of a module that give no name a value: they run when it is imported

Root = Callable[..., Any] | type


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a module; with `name` empty, the module itself."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class Module:
    """The statements that give each name of a file its value, and what the names of its imports mean."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Name] = field(default_factory=dict)


def reachable_code(roots: Iterable[Root], packages: Collection[str], excluded: Collection[str] = ()) -> list[str]:
    """The definitions that some functions and classes depend on, each as its name and the hash of its syntax tree.

    Args:
        roots: Functions and classes; partials count with their arguments, objects that can be called by their class.
        packages: Dotted names of packages and modules; names are followed into these and into the roots' own modules.
        excluded: Dotted names of packages and modules below these, into which names are not followed; of a package
            without its modules, `package.__init__`.

    Raises:
        InputError: the source of a root can't be read, as that of one typed at a prompt.
    """
    spelled: set[str] = set()
    pending: list[Name] = []
    files: dict[str, Path] = {}
    for root in roots:
        if isinstance(root, partial):
            spelled.add(f"partial {root.args!r} {sorted(root.keywords.items())!r}")
        function = unwrapped(root)
        source = inspect.getsourcefile(function)
        module = function.__module__ or ""
        if source is not None and Path(source).exists():
            files[module] = Path(source)
            pending.append(Name(module, function.__qualname__.partition(".")[0]))
        else:  # defined in a notebook: its own text is all that there is
            spelled.add(f"{function.__name__} {syntax_hash(_own_source(function), frozenset())}")
    own = frozenset(name.partition(".")[0] for name in (*packages, *files))
    visited: set[Name] = set()
    while pending:
        name = pending.pop()
        is_excluded = _is_below(name.module, excluded) or f"{name.module}.__init__" in excluded
        is_followed = _is_below(name.module, packages) and not is_excluded
        if name in visited or not (is_followed or name.module in files):
            if name.module.partition(".")[0] not in own:
                spelled.add(f"import {name.module}.{name.name}")
            continue
        visited.add(name)
        file = files.get(name.module) or file_of(name.module)
        if file is not None:
            hashes, references = _analysis(file, name, own)
            spelled.update(hashes)
            pending += references
    return sorted(spelled)


def unwrapped(root: Root) -> Root:
    """The function itself of a partial one, the class of an object that can be called."""
    if isinstance(root, partial):
        return unwrapped(root.func)
    return root if hasattr(root, "__qualname__") else type(root)


def _own_source(function: Root) -> ast.stmt:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, IndexError) as error:
        raise InputError(
            f"the source of {function.__name__} can't be read, so a change of it would go unnoticed; "
            "define it in a file"
        ) from error


def _is_below(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@lru_cache(maxsize=4096)
def file_of(module: str) -> Path | None:
    """The file of a module by its dotted name, found without importing it; None where there is none."""
    top, *rest = module.split(".")
    spec = sys.modules[top].__spec__ if top in sys.modules else find_spec(top)
    if spec is None or spec.submodule_search_locations is None:
        return Path(spec.origin) if spec is not None and spec.origin and not rest else None
    place = Path(next(iter(spec.submodule_search_locations)), *rest)
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in candidates if file.exists()), None)


@lru_cache(maxsize=16_384)
def _analysis(file: Path, name: Name, own: frozenset[str]) -> tuple[tuple[str, ...], tuple[Name, ...]]:
    """The hashes of what defines a name, and the names that it refers to."""
    module = _read(file, name.module)
    if name.name in module.imports:
        return (), (_resolved(module.imports[name.name]),)
    hashes, references = [], [Name(name.module, _EFFECTS)]
    for statement in module.definitions.get(name.name, ()):
        tree = stripped(statement, _parameters(statement, module, own))
        if tree is not None:
            references += _references(tree, name.module, module)
            hashes.append(f"{name.name} {syntax_hash(tree, own)}")
    return tuple(hashes), tuple(dict.fromkeys(references))


def _resolved(name: Name) -> Name:
    """The name, or the module that it is: `from package import module`."""
    submodule = f"{name.module}.{name.name}"
    return Name(submodule, "") if name.name and file_of(submodule) is not None else name


@lru_cache(maxsize=1024)
def _read(file: Path, name: str) -> Module:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    module = Module()
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        _define(module, statement, package)
    return module


def _define(module: Module, statement: ast.stmt, package: str) -> None:
    """Enter what a statement of a module defines; all branches of its conditions count."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module.imports.update(_imported(statement, package))
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        module.definitions.setdefault(statement.name, []).append(statement)
    elif isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
        return  # runs where the file is a program
    elif isinstance(statement, ast.If | ast.Try):
        handled = [each for handler in getattr(statement, "handlers", ()) for each in handler.body]
        for each in (*statement.body, *handled, *statement.orelse, *getattr(statement, "finalbody", ())):
            _define(module, each, package)
    elif not is_docstring(statement):
        for target in set(_targets(statement)) or {_EFFECTS}:
            module.definitions.setdefault(target, []).append(statement)


def _targets(statement: ast.stmt) -> Iterator[str]:
    """The names to which a statement gives a value, or a part of it: `TABLE["key"] = value`."""
    for node in ast.walk(statement):
        place = node
        while isinstance(place, ast.Subscript | ast.Attribute) and isinstance(place.ctx, ast.Store):
            place = place.value
        if isinstance(place, ast.Name) and (place is not node or isinstance(place.ctx, ast.Store)):
            yield place.id


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Name]]:
    """What the names mean that an import brings."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, Name(alias.name if alias.asname else top, "")
        return
    above = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
    source = ".".join([*above, *([statement.module] if statement.module else [])])
    for alias in statement.names:
        yield alias.asname or alias.name, Name(source, alias.name)


def _references(tree: ast.AST, module_name: str, module: Module) -> Iterator[Name]:
    """The names of this and other modules that a statement refers to, those of its annotations included."""
    local = dict(module.imports)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            local.update(_imported(node, module_name.rpartition(".")[0]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from _attribute(node, local)
        elif isinstance(node, ast.Name) and node.id in local:
            yield _resolved(local[node.id])
        elif isinstance(node, ast.Name) and node.id in module.definitions:
            yield Name(module_name, node.id)


def _attribute(node: ast.Attribute, imports: Mapping[str, Name]) -> Iterator[Name]:
    """What `module.name` or `package.module.name` means."""
    names: list[str] = []
    base: ast.expr = node
    while isinstance(base, ast.Attribute):
        names.insert(0, base.attr)
        base = base.value
    if not isinstance(base, ast.Name) or base.id not in imports:
        return
    place = _resolved(imports[base.id])
    for name in names:
        if place.name:
            return  # an attribute of an object
        place = _resolved(Name(place.module, name))
    yield place


def _parameters(statement: ast.stmt, module: Module, own: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The parameters, in order, of the functions and classes that a statement calls by their names."""
    calls = (node.func for node in ast.walk(statement) if isinstance(node, ast.Call))
    names = {function.id for function in calls if isinstance(function, ast.Name)}
    return {name: parameters for name in names if (parameters := _parameters_of(name, module, own))}


def _parameters_of(name: str, module: Module, own: frozenset[str]) -> tuple[str, ...]:
    if name in module.imports:
        origin = module.imports[name]
        file = file_of(origin.module) if origin.name and origin.module.partition(".")[0] in own else None
        return () if file is None else _parameters_of(origin.name, _read(file, origin.module), own)
    for statement in module.definitions.get(name, ()):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            return tuple(each.arg for each in (*statement.args.posonlyargs, *statement.args.args))
        if isinstance(statement, ast.ClassDef):
            return _fields(statement)
    return ()


def _fields(statement: ast.ClassDef) -> tuple[str, ...]:
    """The arguments of a class in order: those of its `__init__`, or the fields of a dataclass."""
    for each in statement.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return tuple(argument.arg for argument in each.args.args[1:])
    return tuple(
        each.target.id
        for each in statement.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    )
