"""All sources of the project in one refresh, and what a refresh writes where a file of a large one has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from matstrata.pipelines.ingest.fetching.files import locate
from matstrata.schemas.contracts import SHIPPED, load_contract
from tests.end_to_end.workplace import Workplace

pytestmark = pytest.mark.slow

EVERY = 5  # every fifth line of the OQMD is enough to change some; the refresh of all sources reads all of them


@pytest.fixture(scope="module")
def everything(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A store with all sources of the project."""
    place = Workplace(tmp_path_factory.mktemp("everything"), {"MATSTRATA_MIRROR": mirror})
    shipped = len(list(SHIPPED.glob("*.yaml")))
    assert f"{shipped} of {shipped} sources are up to date" in place.run("refresh")
    return place


class TestEverything:
    def test_every_source_is_there(self, everything: Workplace) -> None:
        there = {row["source"] for row in everything.rows("SELECT source FROM sources")}
        assert there == {path.stem for path in SHIPPED.glob("*.yaml")}
        assert everything.value("SELECT count(*) AS n FROM structures WHERE structure_group IS NULL") == 0
        assert everything.value(
            "SELECT count(*) AS n FROM observations ANTI JOIN materials USING (material_id)"
        ) == 0  # fmt: skip

    def test_each_record_is_an_observation_or_a_rejection(self, everything: Workplace) -> None:
        found = everything.rows(
            "WITH seen AS (SELECT source, count(DISTINCT source_record) AS seen FROM observations GROUP BY 1), "
            "refused AS (SELECT source, count(DISTINCT source_record) AS refused, count(*) AS lines FROM rejections GROUP BY 1), "
            "both_ AS (SELECT source, count(*) AS n_both FROM (SELECT DISTINCT source, source_record FROM observations "
            "SEMI JOIN rejections USING (source, source_record)) GROUP BY 1) "
            "SELECT source, rows_in, rows_accepted, rows_rejected, coalesce(seen, 0) AS seen, coalesce(refused, 0) AS refused, "
            "coalesce(lines, 0) AS lines, coalesce(n_both, 0) AS in_both FROM sources LEFT JOIN seen USING (source) "
            "LEFT JOIN refused USING (source) LEFT JOIN both_ USING (source)"
        )
        assert len(found) == len(list(SHIPPED.glob("*.yaml")))
        assert {row["source"]: row["rows_accepted"] for row in found}["oqmd_gaps"] == 341_608
        for row in found:
            assert row["rows_in"] == row["rows_accepted"] + row["rows_rejected"], row
            assert (row["seen"], row["refused"], row["in_both"]) == (row["rows_accepted"], row["rows_rejected"], 0), row
            assert row["lines"] == row["refused"], row

    def test_each_of_seven_thousand_perovskites_has_a_protostructure(self, everything: Workplace) -> None:
        (found,) = everything.rows(
            "SELECT count(*) AS n, count(protostructure) AS named FROM structures WHERE source = 'perov_5'"
        )
        assert found == {"n": 7572, "named": 7572}

    def test_a_second_refresh_makes_no_snapshot(self, everything: Workplace) -> None:
        before = everything.snapshot()
        everything.run("refresh")
        assert everything.snapshot() == before

    def test_what_zhuos_compilation_holds_is_flagged(self, everything: Workplace) -> None:
        found = everything.rows(
            "SELECT flag, count(*) AS n FROM (SELECT unnest(flags) AS flag FROM observations "
            "WHERE source = 'zhuo_2018_gaps') GROUP BY flag"
        )
        assert {row["flag"]: row["n"] for row in found} == {"formula.suffix": 323, "value.zero_class": 2458}

    def test_gllb_sc_in_the_unit_of_its_header_is_stopped(self, everything: Workplace, tmp_path: Path) -> None:
        counts = "SELECT source, count(*) AS n FROM observations GROUP BY ALL ORDER BY ALL"
        before = everything.rows(counts)
        text = (SHIPPED / "gllbsc_gaps.yaml").read_text(encoding="utf-8")
        wrong = text.replace("source: gllbsc_gaps", "source: gllbsc_ev").replace("unit: meV", "unit: eV")
        assert "unit: meV" not in wrong
        (tmp_path / "gllbsc_ev.yaml").write_text(wrong, encoding="utf-8")
        failed = everything.attempt("sources", "add", str(tmp_path / "gllbsc_ev.yaml"))
        assert failed.returncode == 1
        for word in (
            "gllbsc_ev",
            "table.plausible_unit",
            "median of band_gap",
            "meV",
            "1000",
            "the data in the store stay as they were",
        ):
            assert word in failed.stderr
        assert everything.rows(counts) == before
        broken = everything.rows("SELECT rule_id FROM validations WHERE source = 'gllbsc_ev' AND NOT success")
        assert {"rule_id": "table.plausible_unit"} in broken


@pytest.mark.parametrize(
    ("identified", "changes"),
    [(True, ("update_postimage", "update_preimage")), (False, ("insert", "delete"))],
    ids=["with an id", "without"],
)
def test_one_percent_of_the_oqmd_changes(
    mirror: str, tmp_path: Path, identified: bool, changes: tuple[str, str]
) -> None:
    """The change feed shows exactly the rows that the file changed: old and new value of each."""
    place = Workplace(tmp_path, {})
    text = (SHIPPED / "oqmd_gaps.yaml").read_text(encoding="utf-8")
    shipped = load_contract(SHIPPED / "oqmd_gaps.yaml")
    mirrors = [Path(folder) for folder in mirror.split(os.pathsep)]
    files = locate(shipped.files, cache=tmp_path / "cache", mirrors=mirrors)
    lines = {file.name: file.path.read_text(encoding="utf-8").splitlines(keepends=True)[::EVERY] for file in files}
    for name, content in lines.items():
        (tmp_path / name).write_text("".join(content), encoding="utf-8")
    before_files, after_files = text.partition("files:\n")[0], text.partition("reader: delimited")[2]
    assert after_files
    local = "files: [" + ", ".join(f"{{path: {name}}}" for name in lines) + "]\nreader: delimited"
    written = (before_files + local + after_files).replace("source: oqmd_gaps", "source: oqmd_here")
    if not identified:
        assert "  record_id: formula\n" in written
        written = written.replace("  record_id: formula\n", "")
    (tmp_path / "oqmd_here.yaml").write_text(written, encoding="utf-8")
    total, changed, number = sum(len(content) - 1 for content in lines.values()), 0, 0
    assert total > 60_000
    assert f"{total:,} accepted" in place.run("sources", "add", "oqmd_here.yaml")

    new: set[tuple[str, float]] = set()
    old: set[tuple[str, float]] = set()
    for name, content in lines.items():
        header = content[0].strip().split(",")
        formula, target = header.index("formula"), header.index("target")
        for i in range(1, len(content)):
            number += 1
            if number % 100 == 0:
                cells = content[i].rstrip("\n").split(",")
                old.add((cells[formula], float(cells[target])))
                cells[target] = repr(float(cells[target]) + 0.125)
                new.add((cells[formula], float(cells[target])))
                content[i] = ",".join(cells) + "\n"
                changed += 1
        (tmp_path / name).write_text("".join(content), encoding="utf-8")
    assert changed == total // 100
    said = place.run("sources", "add", "oqmd_here.yaml")
    counts = (0, changed, 0) if identified else (changed, 0, changed)
    assert "{:,} observations added, {:,} changed, {:,} removed".format(*counts) in said

    snapshot = place.snapshot()
    feed = place.rows(
        f"SELECT change_type, formula_reported, value FROM lake.table_changes('observations', {snapshot}, {snapshot})"
    )
    found = {kind: {(r["formula_reported"], r["value"]) for r in feed if r["change_type"] == kind} for kind in changes}
    assert len(feed) == 2 * changed
    assert found == dict(zip(changes, (new, old), strict=True))
