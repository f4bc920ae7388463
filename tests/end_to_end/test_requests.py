"""Requests that can't be met: one clear sentence, the right exit code, and the store untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.workplace import Workplace


def test_help_teaches(workplace: Workplace) -> None:
    listed = workplace.run("--help")
    for command in ("run", "sql", "predict", "status", "docs", "ui"):
        assert command in listed
        assert "Usage" in workplace.run(command, "--help")


def test_files_that_are_not_at_hand_are_named_with_the_remedy(workplace: Workplace) -> None:
    # a proxy that nobody listens on: the machine is off-line
    offline = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    failed = workplace.attempt("run", "band_gap", **offline)
    assert failed.returncode == 2
    for expected in ("band_gap_download.csv", "MATSTRATA_MIRROR", "09faa1fcda"):
        assert expected in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not workplace.store.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "colour"), "refractive_index"),
        (("predict", "GaN"), "matstrata run"),
        (("sql", "SELECT 1"), "matstrata run"),
        (("docs",), "matstrata run"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(workplace: Workplace, words: tuple[str, ...], expected: str) -> None:
    failed = workplace.attempt(*words)
    assert failed.returncode == 2
    assert expected in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not workplace.store.exists()


def test_status_without_a_store(workplace: Workplace) -> None:
    assert "No store" in workplace.run("status")


def test_a_broken_contract_names_file_field_and_remedy(workplace: Workplace, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    (contracts / "refractiveindex_info.yaml").write_text("source: refractiveindex_info\nkind: guess\n")
    failed = workplace.attempt("run", MATSTRATA_CONTRACTS=str(contracts))
    assert failed.returncode == 2
    assert "refractiveindex_info.yaml" in failed.stderr
    assert "kind" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_wrong_hash_names_both(workplace: Workplace, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    from matstrata.schemas.contracts import SHIPPED

    shipped = (SHIPPED / "refractiveindex_info.yaml").read_text(encoding="utf-8")
    pinned = "339d39fec5bd700a9afef8899c4b6da60cbcc41285a3c551609467274b6a0968"
    assert pinned in shipped
    (contracts / "refractiveindex_info.yaml").write_text(shipped.replace(pinned, "f" * 64), encoding="utf-8")
    failed = workplace.attempt("run", MATSTRATA_CONTRACTS=str(contracts))
    assert failed.returncode == 2
    assert pinned in failed.stderr
    assert "f" * 64 in failed.stderr
    assert not workplace.store.exists()
