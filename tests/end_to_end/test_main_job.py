"""The main job as a new user runs it: from nothing to a predictor, on the bundled data, without a network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from matstrata.pipelines.serving.predictor import Predictor
from matstrata.store import FeatureStore
from tests.end_to_end.part import write_part
from tests.end_to_end.workplace import Workplace

pytestmark = pytest.mark.slow

Finished = tuple[Workplace, str]


def test_it_ends_with_a_summary_that_tells_where_to_go(finished: Finished) -> None:
    place, printed = finished
    for expected in ("refractiveindex_info", "ricci_transport", "47,737", "magpie v1", "stoichiometry v1", "materials"):
        assert expected in printed
    assert str(place.store / "reports" / "refractive_index.html") in printed
    assert printed.count(' sql "') == 3
    assert "matstrata ui" in printed


def test_its_three_queries_work(finished: Finished) -> None:
    place, printed = finished
    queries = re.findall(r'sql "(.+?)"\s*$', printed, flags=re.MULTILINE)
    assert len(queries) == 3
    assert all(_printed_rows(place, query) for query in queries)


def test_every_record_is_accepted_or_rejected(finished: Finished) -> None:
    place, _ = finished
    counts = place.rows(
        "SELECT s.source, rows_in, (SELECT count(DISTINCT source_record) FROM observations o WHERE o.source = s.source) AS "
        "accepted, (SELECT count(DISTINCT source_record) FROM rejections r WHERE r.source = s.source) AS rejected "
        "FROM sources s ORDER BY s.source"
    )
    assert [(row["source"], row["rows_in"]) for row in counts] == [
        ("refractiveindex_info", 804),
        ("ricci_transport", 47737),
    ]
    assert all(row["rows_in"] == row["accepted"] + row["rejected"] for row in counts)
    assert [row["rejected"] > 0 for row in counts] == [True, False]
    assert place.value("SELECT count(*) AS n FROM rejections WHERE reason = '' OR rule_id = '' OR raw = ''") == 0


def test_there_is_enough_of_it(finished: Finished) -> None:
    place, _ = finished
    measured = place.rows(
        "SELECT count(*) AS n, count(DISTINCT material_id) AS m FROM observations WHERE source = 'refractiveindex_info'"
    )[0]
    assert measured["n"] >= 500
    assert measured["m"] >= 210
    assert place.value("SELECT count(DISTINCT property) AS n FROM observations WHERE source = 'ricci_transport'") == 10


@pytest.mark.parametrize(
    ("record", "index"),
    [
        ("SiO2/Malitson.yml", 1.4585),
        ("C/Peter.yml", 2.417),
        ("NaCl/Li.yml", 1.544),
        ("Al2O3/Malitson-o.yml", 1.768),
        ("Si/Aspnes.yml", 3.97),
    ],
)
def test_values_are_those_of_the_literature(finished: Finished, record: str, index: float) -> None:
    place, _ = finished
    found = place.value(f"SELECT value FROM observations WHERE source_record = 'database/{record}'")
    assert found == pytest.approx(index, rel=0.005)


def test_every_number_is_traced_to_a_file_and_a_citation(finished: Finished) -> None:
    place, _ = finished
    assert (
        place.value("SELECT count(*) AS n FROM observations WHERE length(file_sha256) <> 64 OR reference IS NULL") == 0
    )
    assert place.value("SELECT count(*) AS n FROM sources WHERE citation NOT LIKE '@%'") == 0


def test_observations_and_materials_belong_together(finished: Finished) -> None:
    place, _ = finished
    assert place.value("SELECT count(*) AS n FROM observations ANTI JOIN materials USING (material_id)") == 0
    assert place.value("SELECT count(*) - count(DISTINCT material_id) AS n FROM materials") == 0
    assert place.value("SELECT count(*) - count(DISTINCT observation_id) AS n FROM observations") == 0


def test_magpie_is_matminers(finished: Finished) -> None:
    place, _ = finished
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    with FeatureStore.open(place.store) as store:
        labelled = store.labels(property="refractive_index")["material_id"].to_pylist()
        values = store.features_for(labelled, ["magpie"]).to_numpy()
    assert len(labelled) >= 210
    featurizer = ElementProperty.from_preset("magpie", impute_nan=False)
    theirs = np.array([featurizer.featurize(Composition(material)) for material in labelled], dtype=float)
    assert np.array_equal(np.isnan(values), np.isnan(theirs))
    np.testing.assert_allclose(values, theirs, rtol=1e-9, atol=1e-12)  # matminer's own zeros are off by 1e-16


def test_each_described_material_is_predicted_or_has_a_reason(finished: Finished) -> None:
    place, _ = finished
    undescribed = place.value("SELECT count(*) AS n FROM materials ANTI JOIN features.magpie_v1 USING (material_id)")
    assert undescribed == place.value("SELECT count(*) AS n FROM feature_failures WHERE name = 'magpie'")
    assert place.value("SELECT count(*) AS n FROM features.magpie_v1 ANTI JOIN predictions USING (material_id)") == 0
    outside = "SELECT count(*) AS n FROM predictions WHERE NOT (lower_90 <= value AND value <= upper_90)"
    assert place.value(outside) == 0


def test_errors_are_reported_beside_baselines_and_intervals_hold(finished: Finished) -> None:
    place, _ = finished
    rows = place.rows(
        "SELECT protocol, setting, metric, m.value FROM model_metrics m JOIN models USING (model_id) "
        "WHERE models.source IS NULL AND serving AND subset = 'all'"
    )
    figures = {(row["protocol"], row["setting"], row["metric"]): row["value"] for row in rows}
    for protocol in ("grouped_kfold", "chemical_system"):
        assert {setting for p, setting, _ in figures if p == protocol} == {
            "mean", "single", "without_dft", "strict", "known_dft",
        }  # fmt: skip
        assert figures[protocol, "known_dft", "mae"] < 0.6 * figures[protocol, "mean", "mae"]
    assert 0.87 <= figures["grouped_kfold", "known_dft", "coverage_90"] <= 0.93
    # nothing predicts better than measurements repeat: a smaller error would be a leak
    assert figures["grouped_kfold", "known_dft", "rmse"] > 0.5 * figures["replicates", "measurement", "pooled_sd"]


def test_no_group_is_on_both_sides(finished: Finished) -> None:
    """The computed source's model was trained on no group that the measured source holds."""
    place, _ = finished
    parameters = json.loads(
        place.value(
            "SELECT parameters FROM models WHERE source = 'ricci_transport' AND serving AND property = 'refractive_index'"
        )
    )
    shared = place.value(
        "SELECT count(*) AS n FROM (SELECT DISTINCT material_id, group_id FROM observations JOIN materials USING "
        "(material_id) WHERE source = 'ricci_transport') WHERE group_id IN (SELECT group_id FROM observations JOIN "
        "materials USING (material_id) WHERE source = 'refractiveindex_info' AND kind = 'experiment')"
    )
    materials = place.value(
        "SELECT count(DISTINCT material_id) AS n FROM observations WHERE source = 'ricci_transport'"
    )
    assert shared > 0
    assert parameters["materials"] == materials - shared


def test_a_second_run_finds_nothing_to_do(finished: Finished) -> None:
    place, _ = finished
    before = place.snapshot()
    files = {path: path.stat().st_mtime_ns for path in place.store.rglob("*.*") if "catalog" not in path.name}
    assert len(files) > 10
    place.run("run")
    assert place.snapshot() == before
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_a_touched_value_remakes_only_what_depends_on_it(small: Workplace, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    write_part(contracts, touched=True)
    place = small.copy_to(tmp_path, MATSTRATA_CONTRACTS=str(contracts))
    before = place.snapshot()
    models = {row["source"]: row["model_id"] for row in place.rows("SELECT source, model_id FROM models WHERE serving")}
    place.run("run")
    changes = place.rows(
        f"SELECT change_type, value FROM lake.table_changes('observations', {before + 1}, {place.snapshot()})"
    )
    assert sorted(row["change_type"] for row in changes) == ["update_postimage", "update_preimage"]
    messages = [
        row["m"] for row in place.rows(f"SELECT commit_message AS m FROM lake.snapshots() WHERE snapshot_id > {before}")
    ]
    assert messages
    assert not [message for message in messages if "features" in message or "materials" in message]
    newest = place.rows("SELECT source, arg_max(model_id, created_at) AS model_id FROM models GROUP BY source")
    after = {row["source"]: row["model_id"] for row in newest}
    assert after["ricci_transport"] == models["ricci_transport"]
    assert after["refractiveindex_info"] != models["refractiveindex_info"]
    assert after[None] != models[None]
    serving = place.rows(
        "SELECT model_id FROM models WHERE source IS NULL AND serving"
    )  # the new one, unless it is worse
    assert place.rows("SELECT DISTINCT model_id FROM predictions") == serving


def test_predict_answers_with_interval_reasons_and_citations(finished: Finished) -> None:
    place, _ = finished
    (gallium_nitride, mixture) = json.loads(place.run("predict", "GaN", "Ag0.5Pb1.75GeSe4", "--json"))
    assert gallium_nitride["lower_90"] < gallium_nitride["value"] < gallium_nitride["upper_90"]
    assert gallium_nitride["value"] == pytest.approx(2.39, abs=0.5)
    assert {each["source"] for each in gallium_nitride["contributions"]} == {"refractiveindex_info", "ricci_transport"}
    assert gallium_nitride["neighbors"]
    assert all(neighbor["reference"] for neighbor in gallium_nitride["neighbors"])
    assert any("Ricci" in citation for citation in gallium_nitride["citations"])
    assert (mixture["material_id"], mixture["formula"]) == ("Ag2Ge4Pb7Se16", "Ag2Pb7Ge4Se16")


def test_a_formula_that_is_none_gets_a_reason_and_costs_no_other(finished: Finished) -> None:
    place, _ = finished
    good, bad = json.loads(place.run("predict", "GaN", "Li1-xCoO2", "--json", exit_code=2))
    assert good["reason"] is None
    assert good["value"] is not None
    assert bad["value"] is None
    assert "x" in bad["reason"]


def test_a_formula_asked_for_twice_is_answered_twice(finished: Finished) -> None:
    """With the same computed values, in whichever spelling."""
    place, _ = finished
    computed = place.value(
        "SELECT min(material_id) AS m FROM labels WHERE source = 'ricci_transport' AND len(material_id) = 4"
    )
    once, again, doubled = Predictor.load("refractive_index", place.store).predict(
        [computed, computed, f"({computed})2"]
    )
    assert 1 < once.value < 10
    assert {each.source for each in once.contributions} == {"refractiveindex_info", "ricci_transport"}
    assert (again.value, again.contributions) == (once.value, once.contributions)
    assert (doubled.value, doubled.contributions) == (once.value, once.contributions)


def test_predictions_equal_those_in_the_store(finished: Finished) -> None:
    """A new formula goes through the same code as a stored material."""
    place, _ = finished
    stored = place.rows(
        "SELECT material_id, value, lower_90, upper_90, in_domain FROM predictions USING SAMPLE 50 (reservoir, 1)"
    )
    answers = Predictor.load("refractive_index", place.store).predict([row["material_id"] for row in stored])
    assert len(stored) == 50
    for row, answer in zip(stored, answers, strict=True):
        assert answer.value == pytest.approx(row["value"], rel=1e-9)
        assert answer.lower_90 == pytest.approx(row["lower_90"], rel=1e-9)
        assert answer.in_domain == row["in_domain"]


def test_sql_prints_every_format(finished: Finished) -> None:
    place, _ = finished
    statement = (
        "SELECT material_id, elements, value FROM labels JOIN materials USING (material_id) ORDER BY ALL LIMIT 3"
    )
    assert "material_id" in place.run("sql", statement)
    lines = place.run("sql", statement, "--format", "csv").splitlines()
    assert lines[0] == "material_id,elements,value"
    assert len(lines) == 4
    rows = _printed_rows(place, statement)
    assert isinstance(rows[0]["elements"], list)
    file = place.folder / "result.parquet"
    place.run("sql", statement, "--format", "parquet", "--output", str(file))
    assert pq.read_table(file).to_pylist() == rows


def test_sql_only_reads(finished: Finished) -> None:
    place, _ = finished
    before = place.snapshot()
    for statement in ("DELETE FROM observations", "COPY materials TO 'x.csv'", "SELECT * FROM read_csv('/etc/passwd')"):
        failed = place.attempt("sql", statement)
        assert failed.returncode == 2
        assert "Traceback" not in failed.stderr
    assert place.snapshot() == before


def test_status_tells_settings_and_contents(finished: Finished) -> None:
    place, _ = finished
    status = json.loads(place.run("status", "--json"))
    assert status["snapshot"] == place.snapshot()
    assert {row["variable"]: row["origin"] for row in status["settings"]}["MATSTRATA_STORE"] == "environment"
    assert len(status["sources"]) == 2


def test_the_python_face(finished: Finished) -> None:
    place, _ = finished
    with FeatureStore.open(place.store) as store:
        gaps = store.observations(property="refractive_index", kind="experiment").to_pandas()
        assert len(gaps) >= 500
        frozen = store.training_set(property="refractive_index", features=["magpie"], sources=["refractiveindex_info"])
        assert frozen.table.num_rows >= 210
        assert len(frozen.descriptors) == 132
        assert store.sql("SELECT count(*) AS n FROM materials")["n"][0].as_py() > 30_000
        features = store.features_for(["NaCl", "Unobtainium", "GaN"], ["magpie", "stoichiometry"]).table
        assert features["material_id"].to_pylist() == ["ClNa", None, "GaN"]
        assert features["electronegativity_mean"].is_null().to_pylist() == [False, True, False]


def test_a_tampered_model_is_refused(finished: Finished, tmp_path: Path) -> None:
    done, _ = finished
    place = done.copy_to(tmp_path)
    file = place.store / place.value("SELECT path FROM models WHERE source IS NULL AND serving")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused = place.attempt("predict", "GaN")
    assert refused.returncode != 0
    assert "sha256" in refused.stderr
    assert "Traceback" not in refused.stderr


def _printed_rows(place: Workplace, statement: str) -> list[dict[str, Any]]:
    """What `matstrata sql` prints, as JSON."""
    return json.loads(place.run("sql", statement, "--format", "json"))
