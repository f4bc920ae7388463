"""The public tables of the store: columns, types, units and definitions, declared once.

DDL, comments, Arrow schemas and documentation derive from here. Not here: how tables are written (`store`).
Feature tables (`features.<name>_v<version>`) get their columns from their feature set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from matstrata.schemas.terms import Kind


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type, what it holds, and the unit of its numbers."""

    name: str
    type: pa.DataType
    definition: str
    unit: str | None = None

    @property
    def comment(self) -> str:
        """Definition and unit, as SQL clients show them."""
        return f"{self.definition} [{self.unit}]" if self.unit else self.definition


@dataclass(frozen=True, slots=True)
class Table:
    """One public table: what a row is, its columns, its key, and its partitioning column.

    DuckLake has no keys: each commit writes so that they stay unique, and the doctor looks for doubled rows.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    partitioned_by: str | None = None

    @property
    def arrow_schema(self) -> pa.Schema:
        """The table's columns as an Arrow schema."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the table's order."""
        return tuple(column.name for column in self.columns)


TEXT, WHOLE, REAL, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()
MOMENT = pa.timestamp("us", tz="UTC")
TEXTS, REALS = pa.list_(pa.string()), pa.list_(pa.float64())

_KINDS = " or ".join(Kind)
_SOURCE = Column("source", TEXT, "name of the source, that of its contract")
_MATERIAL = Column("material_id", TEXT, "alphabetical, gcd-reduced integer formula; exact")
_PROPERTY = Column("property", TEXT, "canonical name of the property")
_FILE = Column("file_sha256", TEXT, "SHA-256 of the file in which the record was first read with this content")
_RECORD = Column("source_record", TEXT, "where in the file the record stands")
_MODEL = Column("model_id", TEXT, "the model, named by the hash of all that went into it")
_SET = Column("training_set_id", TEXT, "SHA-256 of the training set's content")

_TABLES = (
    Table(
        "sources",
        "a source as it was last ingested",
        (
            _SOURCE,
            Column("title", TEXT, "one line on what the source is"),
            Column("kind", TEXT, _KINDS),
            Column("method", TEXT, "how the values were obtained"),
            Column("licence", TEXT, "licence as upstream states it"),
            Column("citation", TEXT, "BibTeX of what to cite"),
            Column("doi", TEXT, "DOI of what to cite"),
            Column("file_sha256", TEXT, "SHA-256 of the file; of several, the SHA-256 of their hashes"),
            Column("files", TEXT, "JSON list of the files: name and SHA-256"),
            Column("contract_sha256", TEXT, "SHA-256 of the contract's content"),
            Column("signature", TEXT, "hash of files, contract and ingesting code: equal means nothing to do"),
            Column("policy", TEXT, "how several observations of a material become one label"),
            Column("label_min_temperature_k", REAL, "labels prefer observations from here", "K"),
            Column("label_max_temperature_k", REAL, "labels prefer observations up to here", "K"),
            Column("rows_in", WHOLE, "records in the files"),
            Column("rows_accepted", WHOLE, "records that became observations"),
            Column("rows_rejected", WHOLE, "records that became rejections"),
            Column("refreshed_at", MOMENT, "when the source last changed"),
        ),
        key=("source",),
    ),
    Table(
        "materials",
        "a composition",
        (
            _MATERIAL,
            Column("group_id", TEXT, "coarser key: near-identical compositions share it, and no split separates them"),
            Column("chemical_system", TEXT, "elements, alphabetical, joined by '-'"),
            Column("elements", TEXTS, "element symbols, alphabetical"),
            Column("n_elements", WHOLE, "number of elements"),
            Column("fractions", REALS, "atomic fractions, in the order of elements"),
        ),
        key=("material_id",),
    ),
    Table(
        "structures",
        "a crystal structure",
        (
            Column("structure_id", TEXT, "identifier of the structure"),
            _MATERIAL,
            _SOURCE,
            _RECORD,
            Column("space_group", WHOLE, "space-group number"),
            Column("protostructure", TEXT, "prototype: formula, Pearson symbol, space group, Wyckoff letters"),
            Column("structure_group", TEXT, "equal structures, of whichever source, share it; polymorphs don't"),
            Column("ordered", TRUTH, "whether each site holds one species"),
            Column("n_sites", WHOLE, "sites in the cell"),
            Column("lattice_a", REAL, "cell length a", "angstrom"),
            Column("lattice_b", REAL, "cell length b", "angstrom"),
            Column("lattice_c", REAL, "cell length c", "angstrom"),
            Column("lattice_alpha", REAL, "cell angle alpha", "degree"),
            Column("lattice_beta", REAL, "cell angle beta", "degree"),
            Column("lattice_gamma", REAL, "cell angle gamma", "degree"),
            Column("volume_per_atom", REAL, "volume per atom", "angstrom^3"),
            Column("density", REAL, "mass density", "g/cm^3"),
            Column("cif", TEXT, "the structure as CIF, P1"),
            Column("notes", TEXTS, "what had to be assumed to read it"),
        ),
        key=("structure_id",),
    ),
    Table(
        "observations",
        "one value of one property of one material from one source",
        (
            Column("observation_id", TEXT, "hash of source, record and property; survives a change of the value"),
            _SOURCE,
            _RECORD,
            _MATERIAL,
            Column("structure_id", TEXT, "the structure observed, where known"),
            Column("formula_reported", TEXT, "the formula as the source writes it"),
            _PROPERTY,
            Column("value", REAL, "the value in the property's canonical unit"),
            Column("unit", TEXT, "the property's canonical unit"),
            Column("value_reported", TEXT, "the value as the source writes it"),
            Column("unit_reported", TEXT, "the unit as the source gives it"),
            Column("kind", TEXT, _KINDS),
            Column("method", TEXT, "how the value was obtained"),
            Column("temperature_k", REAL, "temperature, where stated", "K"),
            Column("conditions", TEXT, "JSON object of the other conditions"),
            Column("uncertainty", REAL, "standard uncertainty in the canonical unit, where stated"),
            Column("reference", TEXT, "the publication that this value comes from"),
            Column("rank", REAL, "what the policies lowest_energy and newest order by"),
            Column("flags", TEXTS, "warnings: rules that look at the value but don't refuse it (docs/rules.md)"),
            _FILE,
            Column("record_hash", TEXT, "hash of the observation's content: equal means unchanged"),
        ),
        key=("observation_id",),
        partitioned_by="source",
    ),
    Table(
        "rejections",
        "an input record that broke a rule",
        (
            _SOURCE,
            _RECORD,
            Column("rule_id", TEXT, "the rule that was broken (docs/rules.md)"),
            Column("reason", TEXT, "what is wrong, in a sentence"),
            Column("raw", TEXT, "JSON of the record as found"),
            _FILE,
        ),
    ),
    Table(
        "validations",
        "the result of one expectation on one refresh, also on one that was refused",
        (
            _SOURCE,
            Column("rule_id", TEXT, "the rule, or the name of a table-level expectation"),
            Column("column", TEXT, "the column looked at, if one"),
            Column("property", TEXT, "the property looked at, if one"),
            Column("severity", TEXT, "critical or warning"),
            Column("success", TRUTH, "whether the expectation held"),
            Column("checked", WHOLE, "values looked at"),
            Column("unexpected", WHOLE, "values that broke it"),
            Column("file_sha256", TEXT, "SHA-256 of the refresh's file (see sources)"),
            Column("validated_at", MOMENT, "when; where the store took the data, their sources.refreshed_at"),
        ),
    ),
    Table(
        "feature_sets",
        "a version of a feature set",
        (
            Column("name", TEXT, "name of the feature set"),
            Column("version", WHOLE, "rises by itself when the signature changes"),
            Column("entity", TEXT, "what a row describes: material, structure or molecule"),
            Column("columns", TEXTS, "names of the descriptors"),
            Column("signature", TEXT, "hash of code, parameters, columns, data tables and library versions"),
            Column("parameters", TEXT, "JSON of the parameters"),
            Column("created_snapshot", WHOLE, "snapshot on which this version was created"),
            Column("rows", WHOLE, "entities described"),
            Column("created_at", MOMENT, "when"),
            Column("deprecated", TEXT, "why this version should not be used any more; null while it may be"),
            Column("current", TRUTH, "whether the bare name stands for it: the version that the code computed last"),
        ),
        key=("name", "version"),
    ),
    Table(
        "feature_failures",
        "an entity whose descriptors could not be computed",
        (
            Column("name", TEXT, "name of the feature set"),
            Column("version", WHOLE, "its version"),
            Column("entity_id", TEXT, "the entity"),
            Column("reason", TEXT, "why not, in a sentence"),
            Column("input_hash", TEXT, "hash of what it was computed from: once that changes, it is tried again"),
        ),
        key=("name", "version", "entity_id"),
    ),
    Table(
        "statistics",
        "the distribution of a column of a feature set, or of a property of a source",
        (
            Column("subject", TEXT, "version of a feature set ('magpie_v1'), or a source"),
            Column("column", TEXT, "the descriptor; or property, kind and method"),
            Column("rows", WHOLE, "values, missing ones included"),
            Column("missing", WHOLE, "values that are null or not a number"),
            Column("lowest", REAL, "smallest value"),
            Column("highest", REAL, "largest value"),
            Column("quantiles", REALS, "the 0th, 1st ... 100th percentile, each a value that occurs"),
            Column("histogram", REALS, "how many values lie in each of 20 equal intervals from lowest to highest"),
            Column("computed_at", MOMENT, "when"),
        ),
        key=("subject", "column"),
    ),
    Table(
        "training_sets",
        "a frozen training set",
        (
            _SET,
            Column("ensemble", TEXT, "the property whose ensemble it serves, if one"),
            Column("name", TEXT, "what a person calls it; the newest of a name is the one that is meant"),
            Column("source", TEXT, "where its labels come from: a source, 'source:method', or several"),
            Column("sources", TEXTS, "names of these sources"),
            Column("properties", TEXTS, "the labelled properties"),
            Column("features", TEXTS, "feature sets and versions, 'magpie_v1'"),
            Column("snapshot", WHOLE, "snapshot it was taken from"),
            Column("rows", WHOLE, "materials in it"),
            Column("path", TEXT, "the Parquet file, relative to the store"),
            Column("manifest", TEXT, "JSON: all that is needed to make it again, and whom to cite"),
            Column("created_at", MOMENT, "when"),
        ),
    ),
    Table(
        "models",
        "a trained model",
        (
            _MODEL,
            _PROPERTY,
            Column("source", TEXT, "the source it was trained on; null for the ensemble"),
            _SET,
            Column("snapshot", WHOLE, "snapshot of its training set"),
            Column("features", TEXTS, "feature sets and versions"),
            Column("code_signature", TEXT, "hash of the learning code"),
            Column("seed", WHOLE, "random seed"),
            Column("parameters", TEXT, "JSON: what it was made of"),
            Column("path", TEXT, "the model file, relative to the store"),
            Column("file_sha256", TEXT, "SHA-256 of the model file; loading refuses another"),
            Column("serving", TRUTH, "whether predictions come from it"),
            Column("withdrawn", TRUTH, "whether it was rolled back: it then serves only if it is promoted by name"),
            Column("created_at", MOMENT, "when"),
        ),
        key=("model_id",),
    ),
    Table(
        "model_metrics",
        "one figure of a model's evaluation",
        (
            _MODEL,
            Column("protocol", TEXT, "how materials were split: grouped_kfold, chemical_system"),
            Column("setting", TEXT, "strict, known_dft, without_dft, or a baseline"),
            Column("subset", TEXT, "all, or a class of materials"),
            Column("metric", TEXT, "mae, rmse, r2, coverage_90 (50, 60 …), width_90, n …"),
            Column("value", REAL, "the figure, in the property's unit where it has one"),
        ),
        key=("model_id", "protocol", "setting", "subset", "metric"),
    ),
    Table(
        "learning_curves",
        "an ensemble's error after training on a part of its materials, each model tested on the same materials",
        (
            _MODEL,
            Column("protocol", TEXT, "how materials were split"),
            Column("setting", TEXT, "strict, known_dft, without_dft"),
            Column("subset", TEXT, "all, or a class of materials"),
            Column("n_trained", WHOLE, "materials trained on, the mean over folds"),
            Column("n_tested", WHOLE, "materials tested"),
            Column("mae", REAL, "mean absolute error, in the property's unit"),
        ),
        key=("model_id", "protocol", "setting", "subset", "n_trained"),
    ),
    Table(
        "predictions",
        "the ensemble's prediction for one material",
        (
            _MODEL,
            _PROPERTY,
            _MATERIAL,
            Column("value", REAL, "predicted value in the property's canonical unit"),
            Column("lower_90", REAL, "lower end of the 90 % interval"),
            Column("upper_90", REAL, "upper end of the 90 % interval"),
            Column("in_domain", TRUTH, "whether the material resembles what was measured"),
        ),
        key=("model_id", "material_id"),
        partitioned_by="property",
    ),
    Table(
        "out_of_fold",
        "an evaluated material's prediction by models that never saw its group",
        (
            _MODEL,
            Column("protocol", TEXT, "how materials were split"),
            Column("setting", TEXT, "strict, known_dft, without_dft, or a baseline"),
            _MATERIAL,
            Column("measured", REAL, "the label"),
            Column("value", REAL, "the prediction"),
            Column("lower_90", REAL, "lower end of the 90 % interval"),
            Column("upper_90", REAL, "upper end of the 90 % interval"),
            Column("in_domain", TRUTH, "whether the material resembles the training part"),
        ),
    ),
    Table(
        "importances",
        "the importance of one source, or one group of descriptors, for an ensemble, in one fold (permutation)",
        (
            _MODEL,
            Column("fold", WHOLE, "which part of the materials was held out"),
            Column("kind", TEXT, "source or descriptors"),
            Column("block", TEXT, "the source, or what the descriptors are made from"),
            Column("increase", REAL, "rise of the mean absolute error with the block exchanged between materials"),
            Column("materials", WHOLE, "held-out materials looked at"),
        ),
        key=("model_id", "fold", "kind", "block"),
    ),
    Table(
        "effects",
        "the effect of one source, or one group of descriptors, on the prediction of a held-out material",
        (
            _MODEL,
            _MATERIAL,
            Column("kind", TEXT, "source or descriptors"),
            Column("block", TEXT, "the source, or what the descriptors are made from"),
            Column("effect", REAL, "prediction minus its mean with the block of other materials, in the unit"),
        ),
        key=("model_id", "material_id", "kind", "block"),
    ),
    Table(
        "releases",
        "a named snapshot that maintenance may not expire",
        (
            Column("name", TEXT, "name of the release"),
            Column("snapshot", WHOLE, "the snapshot it pins"),
            Column("note", TEXT, "what it is for"),
            Column("created_at", MOMENT, "when"),
        ),
        key=("name",),
    ),
)


def feature_label(name: str, version: int) -> str:
    """Name and version of a feature set as one word, which is also its table's name in the schema `features`."""
    return f"{name}_v{version}"


TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _TABLES})
