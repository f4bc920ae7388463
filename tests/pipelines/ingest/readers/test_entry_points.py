"""Other packages add readers by entry points; a broken one costs a sentence, never the command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from matstrata.pipelines.ingest.drafting.draft import draft
from matstrata.pipelines.ingest.dry_run import dry_run
from matstrata.pipelines.ingest.readers import get_reader, reader_package, recognizing_readers
from matstrata.pipelines.ingest.records import ReadError, SourceFile
from matstrata.schemas.contracts import Contract
from matstrata.schemas.errors import InputError

# A format of one line for the names, then one bar-separated line a record, behind a line that says what it is.
BARS = """
from matstrata.pipelines.ingest.readers import SAMPLE_ROWS, Reader, Sample
from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.tables import FileTable, check_options, from_rows, gather

def parse(content):
    header, *rows = [line.split("|") for line in content.decode().splitlines()[1:]]
    return header, rows

def read(files, options):
    check_options("bars", options, ("member",))
    return gather(files, lambda file: FileTable(from_rows(*parse(read_bytes(file, options.get("member"))))))

def recognize(look):
    return look.beginning.startswith(b"#BARS")

def sample(look):
    names, rows = parse(look.content())
    return [Sample(look.file, "bars", look.options, tuple(names), rows[:SAMPLE_ROWS], len(rows) <= SAMPLE_ROWS)]

READER = Reader("bars", read, recognize, sample, suffixes=(".bars",))
"""
FILE = "#BARS 1\nformula|Eg (eV)\nGaN|3.4\nSi|1.1\nZnS|3.6\n"

Install = Callable[[Mapping[str, str], Mapping[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with modules and entry points where Python finds installed ones."""

    def install(modules: Mapping[str, str], points: Mapping[str, str]) -> None:
        place = tmp_path / "site"
        info = place / "bars_format-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bars-format\nVersion: 1.2\n", encoding="utf-8")
        lines = ["[matstrata.readers]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        for name, code in modules.items():
            (place / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(place)
        recognizing_readers.cache_clear()

    yield install
    recognizing_readers.cache_clear()
    sys.modules.pop("bars", None)


def data(folder: Path, name: str = "gaps.bars", text: str = FILE) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_reader_of_another_package_is_drafted_for_and_ingested_from(tmp_path: Path, install: Install) -> None:
    install({"bars": BARS}, {"bars": "bars:READER"})
    drafted = draft(data(tmp_path))
    assert (drafted.sample.reader, drafted.columns) == ("bars", {"formula": "formula"})
    fields = yaml.safe_load(drafted.as_yaml()) | {"kind": "experiment"}
    outcome = dry_run(Contract.model_validate(fields), [drafted.sample.file])
    assert (outcome.accepted, outcome.observations) == (3, 3)


def test_the_package_and_its_version_are_known_so_that_an_update_reads_its_sources_again(install: Install) -> None:
    install({"bars": BARS}, {"bars": "bars:READER"})
    assert (reader_package("bars"), reader_package("delimited")) == ("bars-format 1.2", "")


def test_without_the_package_its_reader_is_unknown(tmp_path: Path) -> None:
    assert draft(data(tmp_path)).sample.reader == "delimited"
    with pytest.raises(InputError, match="unknown reader 'bars'; a contract's reader is one of delimited, excel"):
        get_reader("bars")


@pytest.mark.parametrize(
    ("modules", "value", "message"),
    [
        ({"bars": "import nothing_of_this_name"}, "bars:READER", "can't be imported .*nothing_of_this_name"),
        ({"bars": "READER = 1 / 0"}, "bars:READER", "can't be imported .*division by zero"),
        ({}, "bars:READER", "can't be imported"),
        ({"bars": "READER = print"}, "bars:READER", "is not a Reader called 'bars'"),
        ({"bars": BARS.replace('Reader("bars"', 'Reader("rods"')}, "bars:READER", "is not a Reader called 'bars'"),
    ],
)
def test_a_package_that_is_broken_costs_a_sentence(
    modules: Mapping[str, str],
    value: str,
    message: str,
    tmp_path: Path,
    install: Install,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(modules, {"bars": value})
    with pytest.raises(InputError, match=message) as error:
        get_reader("bars")
    assert "bars-format 1.2" in str(error.value)
    with caplog.at_level(logging.WARNING, "matstrata.ingest"):
        drafted = draft(data(tmp_path, "gaps.csv", "formula,gap\nGaN,3.4\nSi,1.1\n"))
    assert drafted.sample.reader == "delimited"
    assert str(error.value) in caplog.text


@pytest.mark.parametrize("function", ["recognize", "sample"])
def test_a_reader_that_fails_on_a_look_is_passed_over(
    function: str, tmp_path: Path, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        {"bars": BARS.replace(f"def {function}(look):", f"def {function}(look):\n    1 / 0")}, {"bars": "bars:READER"}
    )
    with caplog.at_level(logging.WARNING, "matstrata.ingest"):
        assert draft(data(tmp_path)).sample.reader == "delimited"
    assert "bars-format 1.2 failed on a look at gaps.bars (ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("result", ["1 / 0", "return None"])
def test_a_reader_that_fails_on_a_file_refuses_its_source(result: str, tmp_path: Path, install: Install) -> None:
    install(
        {"bars": BARS.replace("def read(files, options):", f"def read(files, options):\n    {result}")},
        {"bars": "bars:READER"},
    )
    file = SourceFile("gaps.bars", data(tmp_path), "0" * 64)
    with pytest.raises(ReadError, match=r"bars-format 1\.2 failed on gaps\.bars"):
        get_reader("bars").read([file], {})


def test_what_a_foreign_reader_refuses_itself_is_left_in_its_words(tmp_path: Path, install: Install) -> None:
    install({"bars": BARS}, {"bars": "bars:READER"})
    file = SourceFile("gaps.bars", data(tmp_path), "0" * 64)
    with pytest.raises(InputError, match="reader bars has no option 'x'"):
        get_reader("bars").read([file], {"x": 1})


def test_a_name_of_ours_stays_ours(tmp_path: Path, install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install({"bars": BARS.replace('Reader("bars"', 'Reader("delimited"')}, {"delimited": "bars:READER"})
    with caplog.at_level(logging.ERROR, "matstrata.ingest"):
        names: Sequence[str] = draft(data(tmp_path, "gaps.csv", "formula,gap\nGaN,3.4\nSi,1.1\n")).sample.names
    assert names == ("formula", "gap")
    assert "the reader 'delimited' of the package bars-format 1.2 is not used" in caplog.text


def test_a_foreign_format_is_found_inside_an_archive(tmp_path: Path, install: Install) -> None:
    import zipfile

    install({"bars": BARS}, {"bars": "bars:READER"})
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("README", "read me " * 1000)
        archive.writestr("x/gaps.bars", FILE)
    drafted = draft(tmp_path / "data.zip")
    assert (drafted.sample.reader, drafted.sample.options) == ("bars", {"member": "x/gaps.bars"})
