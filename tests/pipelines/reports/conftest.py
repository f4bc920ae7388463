"""A small real store with plausible rows in every table that the report reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake

WHEN = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
MODEL = "f3a9c1d2e4b5"
SETTINGS = {"mean": 0.62, "single": 0.47, "without_dft": 0.36, "strict": 0.34, "known_dft": 0.31}
REJECTIONS = {"optics.out_of_range": 61, "optics.only_extinction": 9, "record.malformed": 2, "formula.syntax": 3}
STEMS, STATISTICS = ("electronegativity", "covalent_radius", "valence_electrons"), ("mean", "max", "avg_dev")
DESCRIPTORS = [f"{stem}_{statistic}" for stem in STEMS for statistic in STATISTICS]
METALS = [
    "Li",
    "Na",
    "K",
    "Mg",
    "Ca",
    "Sr",
    "Ba",
    "Al",
    "Ga",
    "In",
    "Si",
    "Ge",
    "Sn",
    "Ti",
    "Zr",
    "Hf",
    "Zn",
    "Cd",
    "Pb",
    "Y",
    "La",
    "Gd",
    "Lu",
    "Ag",
    "Cu",
]
ANIONS = ["O", "F", "Cl", "Br", "I", "S", "Se", "Te", "N", "P", "As"]

Fill = Callable[[Mapping[str, Sequence[Mapping[str, Any]]]], int]


def compositions() -> list[tuple[str, list[str]]]:
    """Binary compositions, deterministic: (material_id, elements)."""
    pairs = []
    for i, metal in enumerate(METALS):
        for j, anion in enumerate(ANIONS):
            if (7 * i + 3 * j) % 4 == 0 or anion == "O":
                first, second = sorted((metal, anion))
                amount = 2 if (i + j) % 3 == 0 else 1
                pairs.append((f"{first}{second}{amount if amount > 1 else ''}", [first, second]))
    return pairs


def source_row(name: str, **changed: Any) -> dict[str, Any]:
    """A row of `sources`."""
    return {
        "source": name,
        "title": f"The {name.replace('_', ' ')} collection",
        "kind": "experiment",
        "method": "ellipsometry and others",
        "licence": "CC0-1.0",
        "citation": "@article{somebody2016,\n  title = {Refractive indices},\n  year = {2016}\n}",
        "doi": "10.1038/sdata.2017.85",
        "file_sha256": "ab" * 32,
        "policy": "median",
        "rows_in": 0,
        "rows_accepted": 0,
        "rows_rejected": 0,
        "refreshed_at": WHEN,
    } | changed


def observation(source: str, record: int, material_id: str, value: float, **changed: Any) -> dict[str, Any]:
    """A row of `observations`: a measured refractive index."""
    return {
        "observation_id": f"{source}-{record}-{value}",
        "source": source,
        "source_record": f"row {record}",
        "material_id": material_id,
        "formula_reported": material_id,
        "property": "refractive_index",
        "value": value,
        "unit": "1",
        "value_reported": str(value),
        "unit_reported": "1",
        "kind": "experiment",
        "method": "ellipsometry",
        "conditions": "{}",
        "reference": "Somebody 2016",
        "file_sha256": "ab" * 32,
        "record_hash": f"{record}{value}",
    } | changed


def rejection(source: str, record: int, rule_id: str, **changed: Any) -> dict[str, Any]:
    """A row of `rejections`."""
    return {
        "source": source,
        "source_record": f"file {record}",
        "rule_id": rule_id,
        "reason": f"record {record} broke {rule_id}",
        "raw": '{"formula": "X"}',
        "file_sha256": "ab" * 32,
    } | changed


def plausible_rows() -> dict[str, list[dict[str, Any]]]:
    """Rows of all tables: two sources, an ensemble evaluated under two protocols and five settings."""
    rng = np.random.default_rng(7)
    materials = compositions()
    measured = dict(zip([m for m, _ in materials], 1.4 + rng.gamma(2.0, 0.5, len(materials)), strict=True))
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    rows["materials"] = [
        {"material_id": m, "group_id": m, "chemical_system": "-".join(e), "elements": e, "n_elements": 2,
         "fractions": [0.5, 0.5]}
        for m, e in materials
    ]  # fmt: skip
    rows |= _source_rows(materials, measured)
    rows["feature_sets"] = [
        {"name": "magpie", "version": 1, "entity": "material", "columns": DESCRIPTORS, "signature": "5e" * 32,
         "created_snapshot": 3, "rows": len(materials), "created_at": WHEN}
    ]  # fmt: skip
    rows["feature_failures"] = [{"name": "magpie", "version": 1, "entity_id": "D2O", "reason": "no data for D"}]
    rows["models"] = [
        {"model_id": MODEL, "property": "refractive_index", "source": None, "training_set_id": "1" * 64, "snapshot": 4,
         "features": ["magpie_v1"], "seed": 0, "serving": True, "created_at": WHEN}
    ]  # fmt: skip
    rows |= _evaluation_rows(measured, rng)
    rows |= _importance_rows(list(measured), rng)
    return rows


def _source_rows(materials: Sequence[tuple[str, list[str]]], measured: Mapping[str, float]) -> dict[str, Any]:
    """Observations, rejections and validations, and the sources that account for them."""
    observations = []
    record = 0
    for material_id, value in measured.items():
        for repeat in range(1 + record % 3):
            record += 1
            observations.append(observation("refractiveindex_info", record, material_id, value + 0.02 * repeat))
    for number, (material_id, _) in enumerate(materials[::2]):
        observations.append(
            observation("ricci_transport", number, material_id, 5.0, property="band_gap", unit="eV", kind="computation")
        )
    rules = [rule for rule, amount in REJECTIONS.items() for _ in range(amount)]
    computed = len(materials[::2])
    return {
        "observations": observations,
        "rejections": [rejection("refractiveindex_info", number, rule) for number, rule in enumerate(rules)],
        "sources": [
            source_row(
                "refractiveindex_info", rows_in=record + len(rules), rows_accepted=record, rows_rejected=len(rules)
            ),
            source_row("ricci_transport", kind="computation", rows_in=computed, rows_accepted=computed),
        ],
        "validations": [
            {"source": "refractiveindex_info", "rule_id": "value.out_of_bounds", "column": "value",
             "severity": "critical", "success": True, "checked": record, "unexpected": 0, "file_sha256": "ab" * 32,
             "validated_at": WHEN}
        ],
    }  # fmt: skip


def _evaluation_rows(measured: Mapping[str, float], rng: np.random.Generator) -> dict[str, Any]:
    """Metrics and out-of-fold predictions that agree with each other, and learning curves."""
    n = len(measured)
    metrics, out_of_fold = [], []
    for protocol, harder in (("grouped_kfold", 1.0), ("chemical_system", 1.2)):
        for setting, mae in SETTINGS.items():
            about = {"model_id": MODEL, "protocol": protocol, "setting": setting}
            values = {"mae": mae * harder, "rmse": 1.5 * mae * harder, "r2": 1 - mae, "n": n}
            has_interval = setting in ("without_dft", "strict", "known_dft")
            half = 2.2 * mae * harder
            errors = rng.laplace(0, mae * harder, n)
            if has_interval:
                share = float(np.mean(np.abs(errors) <= half))
                values |= {"coverage_50": share / 2, "coverage_90": share, "width_90": 2 * half}
            metrics += [about | {"subset": "all", "metric": metric, "value": value} for metric, value in values.items()]
            out_of_fold += [
                about | {"material_id": m, "measured": true, "value": true + e,
                         "lower_90": true + e - half if has_interval else None,
                         "upper_90": true + e + half if has_interval else None, "in_domain": number % 9 != 0}
                for number, ((m, true), e) in enumerate(zip(measured.items(), errors, strict=True))
            ]  # fmt: skip
    learning_curves = [
        {"model_id": MODEL, "protocol": "grouped_kfold", "setting": setting, "subset": "all", "n_trained": trained,
         "n_tested": n, "mae": SETTINGS[setting] + 10 / trained}
        for setting in ("without_dft", "known_dft") for trained in (17, 35, 70)
    ]  # fmt: skip
    return {"model_metrics": metrics, "out_of_fold": out_of_fold, "learning_curves": learning_curves}


def _importance_rows(material_ids: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    """Importances of one source and three groups of descriptors, and their effects on 41 materials."""
    blocks = [("source", "ricci_transport"), *(("descriptors", stem) for stem in STEMS)]
    about = [{"model_id": MODEL, "kind": kind, "block": block} for kind, block in blocks]
    return {
        "importances": [
            each | {"fold": fold, "increase": 0.1 / (1 + place) + 0.01 * fold, "materials": 20 + fold}
            for place, each in enumerate(about)
            for fold in range(2)
        ],
        "effects": [
            each | {"material_id": m, "effect": float(rng.normal() / (1 + place))}
            for m in material_ids[:41]
            for place, each in enumerate(about)
        ],
    }


def descriptors(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> pa.Table:
    """Descriptors of the materials among the rows, some of which go with the measured value."""
    ids = [row["material_id"] for row in rows["materials"]]
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(len(DESCRIPTORS), len(ids)))
    return pa.table({"material_id": ids, **dict(zip(DESCRIPTORS, columns, strict=True))})


def write(lake: Lake, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    """Put rows into the store's tables, in one commit; returns its snapshot."""
    with lake.commit("fill") as transaction:
        for name, some in rows.items():
            if some:
                table = pa.Table.from_pylist([dict(row) for row in some], schema=TABLES[name].arrow_schema)
                transaction.insert(name, table)
        if rows.get("feature_sets") and rows.get("materials"):
            transaction.con.register("described", descriptors(rows))
            transaction.con.execute("CREATE TABLE features.magpie_v1 AS FROM described")
            transaction.con.unregister("described")
    return transaction.snapshot


@pytest.fixture
def fill(lake: Lake) -> Fill:
    """Puts rows into `lake` and returns the snapshot."""
    return partial(write, lake)


@pytest.fixture
def plausible() -> dict[str, list[dict[str, Any]]]:
    """Plausible rows for every table that the report reads, to be changed by a test before `fill`."""
    return plausible_rows()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, int]:
    """A store of plausible rows and its snapshot, shared: tests only read it."""
    made = Lake(tmp_path_factory.mktemp("filled") / "store")
    made.init()
    return made, write(made, plausible_rows())
