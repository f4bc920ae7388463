"""The ready views, as our readers and as any other DuckDB client sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matstrata.schemas.tables import TABLES
from matstrata.store.lake.extensions import extension_file
from matstrata.store.lake.views import VIEWS, WIDE
from matstrata.store.records.conflicts import conflicts


@pytest.fixture
def filled(lake, put):
    """Two laboratories and a computation, which report band gaps by three methods."""
    now = datetime.now(UTC)
    files = json.dumps([{"name": "lab.csv", "sha256": "a" * 64}])
    put(
        "lab",
        [
            ("r1", "GaN", 3.4, {"method": "optics"}),
            ("r2", "GaN", 3.6, {"method": "optics"}),
            ("r3", "Si", 1.1, {"method": "optics"}),
        ],
        files=files,
        citation="@article{lab}",
        doi="10.1/lab",
        method="optics",
        refreshed_at=now,
    )
    put("other", [("r1", "GaN", 5.0, {"method": "optics"}), ("r2", "Si", 1.2, {"method": "optics"})], method="optics")
    put(
        "dft",
        [("r1", "GaN", 1.7, {"method": "DFT (PBE)"}), ("r2", "C", 4.1, {"method": "DFT (HSE06)"})],
        kind="computation",
    )
    return lake


def rows(lake, sql):
    with lake.reader() as con:
        return con.execute(sql).fetchall()


def test_wide_has_a_column_per_property_and_method(filled):
    with filled.reader() as con:
        table = con.execute(f"FROM {WIDE} ORDER BY material_id").to_arrow_table()
    assert table.to_pylist() == [
        {"material_id": "C", "band_gap__dft_hse06": 4.1, "band_gap__dft_pbe": None, "band_gap__optics": None},
        # of the labels of two laboratories, 3.5 and 5.0, the median
        {"material_id": "GaN", "band_gap__dft_hse06": None, "band_gap__dft_pbe": 1.7, "band_gap__optics": 4.25},
        {
            "material_id": "Si",
            "band_gap__dft_hse06": None,
            "band_gap__dft_pbe": None,
            "band_gap__optics": pytest.approx(1.15),
        },
    ]


def test_wide_keeps_methods_apart_whose_names_look_alike(lake, put):
    put("lab", [("r1", "Si", 1.0, {"method": "DFT+U"}), ("r2", "Si", 2.0, {"method": "DFT U"})])
    assert rows(lake, f"FROM {WIDE}") == [("Si", 2.0, 1.0)]  # 'DFT U' sorts before 'DFT+U'
    assert rows(lake, f"SELECT band_gap__dft_u, band_gap__dft_u_2 FROM {WIDE}") == [(2.0, 1.0)]


def test_wide_is_as_it_was_on_each_snapshot(lake, put):
    first = put("lab", [("r1", "Si", 1.0, {"method": "a"})]).snapshot
    put("lab", [("r1", "Si", 1.0, {"method": "a"}), ("r2", "Si", 2.0, {"method": "b"})])
    assert rows(lake, f"FROM {WIDE}") == [("Si", 1.0, 2.0)]
    with lake.reader(first) as con:
        assert con.execute(f"FROM {WIDE}").fetchall() == [("Si", 1.0)]


def test_an_older_store_gets_the_views(filled):
    with filled.commit("an older store") as transaction:
        for name in (*VIEWS, WIDE):
            transaction.con.execute(f"DROP VIEW {name}")
    type(filled).init.__globals__["_COMPLETE"].clear()
    filled.init()
    assert rows(filled, f"SELECT count(band_gap__optics) FROM {WIDE}") == [(2,)]


def test_coverage_counts_what_there_is(filled):
    assert rows(
        filled, "SELECT source, method, observations, materials, lowest, highest FROM coverage ORDER BY 1, 2"
    ) == [
        ("dft", "DFT (HSE06)", 1, 1, 4.1, 4.1),
        ("dft", "DFT (PBE)", 1, 1, 1.7, 1.7),
        ("lab", "optics", 3, 2, 1.1, 3.6),
        ("other", "optics", 2, 2, 1.2, 5.0),
    ]
    assert rows(filled, "SELECT sum(observations) FROM coverage") == rows(filled, "SELECT count(*) FROM observations")


def test_conflicts_are_those_of_the_command(filled):
    threshold, pairs = conflicts(filled, "band_gap", "experiment")
    assert threshold == pytest.approx(2 * 0.1 * 2**0.5)
    seen = rows(
        filled, "SELECT material_id, source_a, source_b, difference, threshold FROM conflicts WHERE kind = 'experiment'"
    )
    assert seen == [("GaN", "lab", "other", 1.5, threshold)]
    assert [(row["material_id"], row["difference"]) for row in pairs] == [("GaN", 1.5)]


def test_lineage_leads_to_file_and_citation(filled):
    assert rows(
        filled,
        "SELECT file, file_sha256, source_record, citation, doi FROM lineage WHERE source = 'lab' AND value = 1.1",
    ) == [("lab.csv", "a" * 64, "r3", "@article{lab}", "10.1/lab")]
    assert rows(filled, "SELECT count(*) FROM lineage") == rows(filled, "SELECT count(*) FROM observations")


def test_every_table_column_and_view_says_what_it_holds(filled):
    empty = "comment IS NULL OR comment = ''"
    where = f"database_name = 'lake' AND ({empty})"
    assert rows(filled, f"SELECT table_name FROM duckdb_tables() WHERE {where}") == []
    assert rows(filled, f"SELECT view_name FROM duckdb_views() WHERE {where} AND NOT internal") == []
    listed = ", ".join(f"'{name}'" for name in TABLES)
    assert rows(filled, f"SELECT column_name FROM duckdb_columns() WHERE {where} AND table_name IN ({listed})") == []


class TestOtherClients:
    """The line of docs/sql.md, in DuckDB's own command line."""

    def ask(self, lake, sql: str) -> subprocess.CompletedProcess[str]:
        documented = (Path(__file__).parents[3] / "docs" / "sql.md").read_text(encoding="utf-8")
        (line,) = [each for each in documented.splitlines() if each.startswith("ATTACH 'ducklake:sqlite:")]
        line = line.replace("/path/to/warehouse", str(lake.root))
        # here the extensions come from wheels instead of the network
        loaded = "".join(f"LOAD '{extension_file(name)}';" for name in ("sqlite_scanner", "ducklake"))
        command = [Path(sys.executable).with_name("duckdb"), "-unsigned", "-json", "-c", f"{loaded}{line}{sql}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_read_tables_and_views_without_use(self, filled):
        counts = " UNION ALL ".join(f"SELECT count(*) AS n FROM strata.{name}" for name in (*TABLES, *VIEWS, WIDE))
        done = self.ask(filled, counts)
        assert (done.returncode, done.stderr, len(json.loads(done.stdout))) == (0, "", len(TABLES) + len(VIEWS) + 1)
        done = self.ask(filled, "SELECT material_id, band_gap__optics AS gap FROM strata.labels_wide WHERE gap < 2")
        assert json.loads(done.stdout) == [{"material_id": "Si", "gap": pytest.approx(1.15)}]

    def test_can_not_write(self, filled):
        done = self.ask(filled, "DELETE FROM strata.observations")
        assert done.returncode != 0
        assert "read-only" in done.stderr
