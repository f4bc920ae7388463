"""A published dataset stands on its own: others' tools read the data, the metadata and the citations."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from matstrata.pipelines.serving.publishing import publish
from matstrata.schemas.errors import InputError

BIBTEX = "@article{Zhuo2018, author = {Zhuo, Ya and Mansouri Tehrani, Aria and Brgoch, Jakoah}, title = {Predicting the Band Gaps}, journal = {J. Phys. Chem. Lett.}, year = {2018}, doi = {10.1021/acs.jpclett.8b00124}}"
TABLE = pa.table(
    {"material_id": ["GaN", "Si"], "method": ["=HYPERLINK(1)", None], "band_gap": [3.4, 1.1], "x": [None, 2.0]}
)
SOURCE = {
    "source": "zhuo",
    "title": "Gaps",
    "licence": "CC-BY-4.0",
    "doi": "10.1021/acs.jpclett.8b00124",
    "citation": BIBTEX,
}
MANIFEST = {
    "format": "matstrata.training_set/1",
    "training_set_id": "1" * 64,
    "content_sha256": "2" * 64,
    "request": {"property": "band_gap", "features": ["magpie_v1"], "sources": None, "kinds": None},
    "snapshot": 7,
    "snapshot_time_us": 1_795_404_642_713_196,
    "rows": 2,
    "columns": [
        {"name": field.name, "type": str(field.type), "meaning": f"what {field.name} is"} for field in TABLE.schema
    ],
    "sources": [SOURCE, SOURCE | {"source": "ours", "citation": None, "doi": None, "licence": None, "title": None}],
}


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_croissant_is_valid_and_leads_to_the_records(tmp_path, format):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that mlcroissant imports
        import mlcroissant

        publish(tmp_path / "out", "gaps", TABLE, MANIFEST, format)
        dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json"))
        issues = dataset.metadata.ctx.issues
        assert not issues.errors
        assert not issues.warnings
        rows = list(dataset.records("rows"))
    assert [row["rows/material_id"] for row in rows] == [b"GaN", b"Si"]
    assert [row["rows/band_gap"] for row in rows] == [3.4, 1.1]


def test_the_hash_is_that_of_the_data(tmp_path):
    data, *_ = publish(tmp_path / "out", "gaps", TABLE, MANIFEST, "parquet")
    metadata = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert metadata["distribution"][0]["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert pq.read_table(data).equals(TABLE)


def test_csv_holds_nothing_that_a_spreadsheet_would_run(tmp_path):
    data, *_ = publish(tmp_path / "out", "gaps", TABLE, MANIFEST, "csv")
    with data.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows[0] == {"material_id": "GaN", "method": "'=HYPERLINK(1)", "band_gap": "3.4", "x": ""}


def test_citations(tmp_path):
    publish(tmp_path / "out", "gaps", TABLE, MANIFEST, "parquet")
    assert (tmp_path / "out" / "CITATION.bib").read_text() == BIBTEX + "\n"
    cff = yaml.safe_load((tmp_path / "out" / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cff.keys()
    first, second = cff["references"]
    assert first["authors"][1] == {"family-names": "Mansouri Tehrani", "given-names": "Aria"}
    assert (first["type"], first["year"], first["title"]) == ("article", 2018, "Predicting the Band Gaps")
    assert second["authors"] == [{"name": "ours"}], "a source without BibTeX is still named"


def test_nothing_is_overwritten_or_left_half_done(tmp_path, monkeypatch):
    publish(tmp_path / "out", "gaps", TABLE, MANIFEST, "parquet")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="name a new folder"):
        publish(tmp_path / "out", "gaps", TABLE, MANIFEST, "parquet")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="name a new folder"):
        publish(Path(), "gaps", TABLE, MANIFEST, "parquet")
    with pytest.raises(KeyError):
        publish(tmp_path / "other", "gaps", TABLE, {"request": {}}, "parquet")
    assert sorted(tmp_path.rglob("*")) == before
