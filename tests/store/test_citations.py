"""Whatever was used, its sources are cited, each once; what is unknown or unclear is said."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.citations import cite
from matstrata.store.lake.lake import Lake

LAB, DFT, OTHER = "@misc{lab}", "@misc{dft}", "@article{other,\n  title = {ü}\n}"


@pytest.fixture
def used(lake: Lake, put) -> Lake:
    """Three sources; two training sets, each with a model; an ensemble of both that serves, one that no longer does."""
    put("lab", [("r1", "GaN", 3.4)], citation=f"{LAB}\n")
    put("dft", [("r1", "GaN", 1.7)], citation=DFT, kind="computation")
    put("other", [("r1", "GaN", 3.3)], citation=OTHER)
    sets = [("aaa111", "lab"), ("abb222", "dft:PBE"), ("ccc333", "other")]
    models = [
        ("m1", "abb222", "dft:PBE", {}, True),
        ("m2", "aaa111", None, {"helpers": {"dft:PBE": "m1"}}, True),
        ("n3", "ccc333", None, {}, False),
    ]
    with lake.commit("models") as transaction:
        transaction.insert(
            "training_sets", pa.table({"training_set_id": [s[0] for s in sets], "source": [s[1] for s in sets]})
        )
        transaction.insert(
            "models",
            pa.table(
                {
                    "model_id": [m[0] for m in models],
                    "training_set_id": [m[1] for m in models],
                    "source": pa.array([m[2] for m in models], pa.string()),
                    "parameters": [json.dumps(m[3]) for m in models],
                    "serving": [m[4] for m in models],
                    "property": ["band_gap"] * len(models),
                }
            ),
        )
    return lake


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ("lab", [LAB]),
        ("other", [OTHER]),
        ("aaa111", [LAB]),
        ("aa", [LAB]),
        ("ab", [DFT]),
        ("m1", [DFT]),
        ("m2", [DFT, LAB]),
        ("n", [OTHER]),
        ("band_gap", [DFT, LAB]),
    ],
    ids=["source", "source 2", "set", "beginning", "set of a part", "model", "ensemble", "retired", "property"],
)
def test_a_thing_by_any_of_its_names(used, thing, expected):
    assert cite(used, [thing]) == expected


def test_several_things_are_cited_once_in_the_order_of_sources(used):
    assert cite(used, ["other", "m2", "lab", "band_gap"]) == [DFT, LAB, OTHER]


def test_two_sources_of_one_publication_are_one_entry(used, put):
    put("lab_two", [("r1", "GaN", 3.4)], citation=LAB)
    assert cite(used, ["lab", "lab_two"]) == [LAB]


def test_words_that_are_no_bibtex_are_quoted_in_an_entry(used, put):
    put("ours", [("r1", "GaN", 3.4)], citation="unknown", title="Gaps {of} ours")
    assert cite(used, ["ours"]) == ["@misc{ours,\n  title = {Gaps of ours},\n  note = {unknown}\n}"]


def test_half_an_entry_does_not_swallow_the_next(used, put):
    put("half", [("r1", "GaN", 3.4)], citation="@misc{half, title = {Gaps", title="Gaps")
    assert cite(used, ["half"]) == ["@misc{half,\n  title = {Gaps},\n  note = {@mischalf, title = Gaps}\n}"]


def test_entries_of_one_key_are_told_apart(used, put):
    put("other_two", [("r1", "GaN", 3.4)], citation="@article{other, title = {another}}")
    assert cite(used, ["other", "other_two"]) == [OTHER, "@article{other_other_two, title = {another}}"]


@pytest.mark.parametrize(("thing", "ids"), [("a", "aaa111, abb222"), ("m", "m1, m2")])
def test_a_beginning_of_several_is_refused_with_all_of_them(used, thing, ids):
    with pytest.raises(InputError, match=f"2 ids begin with '{thing}': {ids}; give more characters"):
        cite(used, [thing])


@pytest.mark.parametrize("thing", ["nobody", "refractive_index", "LAB", "aaa1112", ""])
def test_what_is_unknown_is_refused(used, thing):
    with pytest.raises(InputError):
        cite(used, ["lab", thing])


def test_the_sentence_says_where_to_look(used):
    with pytest.raises(InputError, match=r"'nobody' is not a source, training set, model.*matstrata sources list"):
        cite(used, ["nobody"])


def test_where_there_is_no_store(tmp_path):
    with pytest.raises(InputError, match="matstrata run"):
        cite(Lake(tmp_path / "none"), ["lab"])
