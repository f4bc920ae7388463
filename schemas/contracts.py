"""A source's contract: what it is, where its bytes are, which column means what. One YAML file per source.

Contracts are pure descriptions. Not here: fetching files (`pipelines.ingest.fetching.files`), reading them
(`pipelines.ingest.readers`), and the vocabulary of properties (`schemas.properties`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.terms import Kind
from matstrata.schemas.units import convert

STRUCTURAL = ("volume_per_atom",)  # observed wherever there is a structure
SHIPPED = Path(__file__).parent / "sources"
SOURCE_NAME = r"^[a-z][a-z0-9_]*$"
Policy = Literal["median", "mean", "min", "max", "lowest_energy", "newest"]
RANKED = ("lowest_energy", "newest")  # policies that take one observation, found by a column of the data
_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))  # minute, hour, day, month, weekday
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_CRON_ITEM = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d?))?")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Citation(_Part):
    """Whom to cite."""

    doi: str | None = None
    bibtex: str


class OptimadeLocation(_Part):
    """Structures of an OPTIMADE provider."""

    base_url: str = Field(pattern=r"^https?://[^/]+")
    filter: str = ""
    response_fields: tuple[str, ...] = ()
    max_results: int | None = Field(default=None, ge=1)


class MaterialsProjectLocation(_Part):
    """Summaries of the Materials Project, by the criteria of its client; the key comes from MP_API_KEY."""

    criteria: Mapping[str, Any]
    max_results: int | None = Field(default=None, ge=1)


class FileLocation(_Part):
    """Where one file of the source is: in a package, on the web, on this machine, or what an interface answers."""

    bundled: str | None = Field(default=None, pattern=r"^\w+:.+$", description="'package:path inside it'")
    url: str | None = Field(default=None, pattern=r"^https?://[^/]+/")
    path: Path | None = None
    optimade: OptimadeLocation | None = None
    materials_project: MaterialsProjectLocation | None = None
    max_age_hours: float = Field(default=24, gt=0, description="how old an answer may be before it is requested again")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    name: str | None = Field(default=None, pattern=r"^\w[^/\\:]*$")

    @model_validator(mode="after")
    def _one_location(self) -> Self:
        places = (self.bundled, self.url, self.path, self.optimade, self.materials_project)
        if sum(place is not None for place in places) != 1:
            raise ValueError("give exactly one of 'bundled', 'url', 'path', 'optimade' and 'materials_project'")
        if self.url is not None and self.sha256 is None:
            raise ValueError(f"{self.url} needs its 'sha256', so that the bytes can be verified")
        return self

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def is_live(self) -> bool:
        """Whether the bytes are what an interface answers today."""
        return self.optimade is not None or self.materials_project is not None

    @property
    def label(self) -> str:
        """The name people know the file by."""
        if self.name is not None:
            return self.name
        if self.optimade is not None:
            return urlsplit(self.optimade.base_url).netloc
        if self.materials_project is not None:
            return "Materials Project"
        if self.url is not None:
            address = urlsplit(self.url)
            return PurePosixPath(unquote(address.path)).name or address.netloc
        place = self.path or PurePosixPath((self.bundled or "").partition(":")[2])
        return place.name


class Columns(_Part):
    """Which column is what; a record is known by its formula, its SMILES or its structure."""

    formula: str | None = None
    smiles: str | None = None
    structure: str | None = None
    record_id: str | None = None
    reference: str | None = None
    temperature_k: str | None = None
    conditions: str | None = None
    kind: str | None = None

    @model_validator(mode="after")
    def _some_composition(self) -> Self:
        if self.formula is None and self.smiles is None and self.structure is None:
            raise ValueError("name the column of the composition: 'formula', 'smiles' or 'structure'")
        return self

    def named(self) -> Mapping[str, str]:
        """Role -> column, for the roles that the contract fills."""
        return {role: column for role, column in self.model_dump().items() if column is not None}


class ValueColumn(_Part):
    """A column of values: which property it reports, in which unit; how obtained, where that is not the source's."""

    column: str
    property: str
    unit: str
    method: str | None = None
    kind: Kind | None = None

    @field_validator("property")
    @classmethod
    def _known_property(cls, name: str) -> str:
        return get_property(name).name

    @model_validator(mode="after")
    def _convertible(self) -> Self:
        import numpy as np

        convert(np.zeros(1), self.unit, get_property(self.property).unit)
        return self


class Constants(_Part):
    """What holds for every record of the source."""

    temperature_k: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    conditions: Mapping[str, Any] = {}


class Reconcile(_Part):
    """How several observations of one material become one label."""

    policy: Policy = "median"
    by: str | None = Field(default=None, description="the column that orders polymorphs (energy) or versions (date)")
    temperature_k: tuple[float, float] | None = None
    format: str | None = Field(
        default=None,
        description="how the times of `by` are written where it is not ISO 8601, e.g. '%d.%m.%Y'",
        exclude_if=lambda value: value is None,  # a contract without it keeps its hash
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.format is not None and (self.policy != "newest" or not re.search("%[Yyc]", self.format)):
            raise ValueError("'format' says how the times of 'newest' are written, at least their year: '%d.%m.%Y'")
        if (self.policy in RANKED) != (self.by is not None):
            raise ValueError(f"'by' names the column that {' and '.join(RANKED)} order by; other policies have none")
        return self


class Refresh(_Part):
    """When to look for new data, and how old it may grow."""

    cron: str | None = None
    freshness_hours: float | None = Field(default=None, gt=0)

    @field_validator("cron")
    @classmethod
    def _readable(cls, cron: str | None) -> str | None:
        """A schedule that Dagster can't read would cost the user its whole UI, not this source alone."""
        fields = [] if cron is None else cron.split()
        sound = len(fields) == len(_CRON) and all(map(_is_cron_field, fields, _CRON)) and _comes(*fields[2:])
        if cron is not None and not sound:
            fields_are = "minute, hour, day, month and weekday, like '0 3 * * 1'"
            raise ValueError(f"{cron!r} is not a schedule that ever comes: give {fields_are}")
        return cron


def _is_cron_field(field: str, bounds: tuple[int, int]) -> bool:
    for item in field.split(","):
        match = _CRON_ITEM.fullmatch(item)
        if match is None:
            return False
        numbers = [int(number) for number in match.group(1, 2) if number]
        if not all(bounds[0] <= number <= bounds[1] for number in numbers):
            return False
    return True


def _comes(day: str, month: str, weekday: str) -> bool:
    """Whether there is ever such a date: 31 February is not, and Dagster would look for it without end."""
    months = [number for number in range(1, 13) if _is_named(month, number)]
    longest = max((_LONGEST_MONTHS[number - 1] for number in months), default=0)
    return weekday != "*" or any(_is_named(day, number) for number in range(1, longest + 1))


def _is_named(field: str, number: int) -> bool:
    """Whether a sound field of a schedule, of days or months, names this number."""
    for item in field.split(","):
        first, last, step = _CRON_ITEM.fullmatch(item).groups()  # type: ignore[union-attr]  # the field is sound
        low = int(first or 1)
        high = int(last or first) if first and (last or not step) else 31
        if low <= number <= high and (number - low) % int(step or 1) == 0:
            return True
    return False


class Contract(_Part):
    """A source: everything Matstrata needs to know to ingest it."""

    source: str = Field(pattern=SOURCE_NAME)
    title: str
    description: str
    kind: Kind
    method: str
    licence: str
    homepage: str | None = None
    citation: Citation
    files: tuple[FileLocation, ...] = Field(min_length=1)
    reader: str
    options: Mapping[str, Any] = {}
    columns: Columns
    values: tuple[ValueColumn, ...] = ()
    constants: Constants = Constants()
    missing: tuple[str, ...] = ("",)
    decimal: Literal[".", ","] = "."
    replicates: Literal["reject", "keep"] = "reject"
    max_amount: float = Field(default=1000, gt=0)
    reconcile: Reconcile = Reconcile()
    refresh: Refresh = Refresh()

    @model_validator(mode="after")
    def _something_to_observe(self) -> Self:
        if not self.values and self.columns.structure is None:
            raise ValueError("'values' is empty: name at least one column of values, or a column of structures")
        labels = [file.label for file in self.files]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"two files are called {twice[0]!r}; give each its 'name', so that records can be told apart"
            )
        taken = [(value.column, value.method) for value in self.values]
        if len(set(taken)) < len(taken):
            raise ValueError("a column stands twice in 'values' with the same method")
        return self

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that the source reports, in the contract's order; of structures, what follows from them."""
        derived = STRUCTURAL if self.columns.structure is not None else ()
        return tuple(dict.fromkeys([*(value.property for value in self.values), *derived]))

    @property
    def sha256(self) -> str:
        """The hash of what the contract says (not of its comments or layout)."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class _EachKeyOnce(yaml.constructor.SafeConstructor):
    """Safe, and strict: of a key that stands twice YAML would keep the last, and the first would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 as the overridden
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice; keep one", node.start_mark)
        return super().construct_mapping(node, deep)


class _AnyYaml(_EachKeyOnce, yaml.SafeLoader):
    """For files of users, however deeply they are nested."""


class _OwnYaml(_EachKeyOnce, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which, is seen at run time
    """For the shipped contracts, ten times faster; libyaml would end the process on brackets nested 30,000 deep."""


def load_contract(path: Path) -> Contract:
    """Read one contract.

    A relative `path:` location counts from the contract's own folder.

    Raises:
        InputError: the file can't be read, is not YAML, or breaks a rule; the message names file, field and remedy.
    """
    try:
        loader = _OwnYaml if path.parent == SHIPPED else _AnyYaml
        declared = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 both are safe loaders
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"contract {path} can't be read: {error}") from error
    except RecursionError as error:
        raise InputError(f"contract {path} can't be read: it is nested too deeply") from error
    if not isinstance(declared, dict):
        raise InputError(f"contract {path} is not a mapping of fields; see docs/contracts.md for one to start from")
    try:
        contract = Contract.model_validate(declared)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'contract'}: {_problem(e['type'], e['msg'])}" for e in error.errors()
        )
        raise InputError(f"contract {path} is not valid: {problems}") from error
    if contract.source != path.stem:
        raise InputError(f"contract {path} describes source {contract.source!r}; name the file {contract.source}.yaml")
    located = tuple(
        file.model_copy(update={"path": (path.parent / file.path).resolve()}) if file.path else file
        for file in contract.files
    )
    return contract.model_copy(update={"files": located})


def _problem(kind: str, message: str) -> str:
    """What is wrong with a field, where pydantic's words would leave a reader without a remedy."""
    remedies = {
        "extra_forbidden": "no such field; correct its spelling or delete it (docs/contracts.md lists the fields)",
        "missing": "the field is required; add it",
    }
    return remedies.get(kind, message)


def load_contracts(folders: Sequence[Path] = ()) -> Mapping[str, Contract]:
    """All contracts by source: the shipped ones, then those of `folders`; a later one replaces its namesake.

    Raises:
        InputError: a folder does not exist, or a contract is not valid.
    """
    return {source: read_contract(path) for source, path in contract_paths(folders).items()}


def contract_paths(folders: Sequence[Path] = ()) -> Mapping[str, Path]:
    """The path of each source's contract; as `load_contracts`, but none is read.

    Raises:
        InputError: a folder does not exist.
    """
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent:
        raise InputError(f"no such folder of contracts: {', '.join(absent)}; correct MATSTRATA_CONTRACTS")
    paths = {path.stem: path for folder in (SHIPPED, *folders) for path in sorted(folder.glob("*.y*ml"))}
    return dict(sorted(paths.items()))


def read_contract(path: Path) -> Contract:
    """As `load_contract`, but a file that did not change since is not read again: that takes 10 ms.

    Raises:
        InputError: the file is gone, or the contract is not valid.
    """
    try:
        return _unless_changed(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise InputError(f"contract {path} can't be read: {error}") from error


@lru_cache(maxsize=1024)
def _unless_changed(path: Path, _changed_at: int) -> Contract:
    return load_contract(path)
