"""The documents are true where a test can tell: their links lead somewhere, their table of packages is complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
SECTIONS = ("**Decision.**", "**Reason.**", "**Consequence.**", "**What would change it.**")

_LINK = re.compile(r"!?\[[^]\[]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def prose(document: Path) -> str:
    """A document without its code."""
    return _CODE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub(lambda m: m[0].strip("`"), document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    broken = []
    for link in _LINK.findall(prose(document)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def test_the_documents_are_there():
    names = {document.relative_to(PROJECT).as_posix() for document in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"} <= names
    assert len(DECISIONS) > 20


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(document):
    assert broken_links(document) == []


def test_a_broken_link_would_be_seen(tmp_path):
    (tmp_path / "other.md").write_text("# Its heading: `code`\n")
    document = tmp_path / "page.md"
    document.write_text(
        "[a](other.md) [b](other.md#its-heading-code) [c](gone.md) [d](other.md#gone) `[e](code.md)` [f](#gone)\n"
    )
    assert broken_links(document) == ["gone.md", "other.md#gone", "#gone"]


@pytest.mark.parametrize("record", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_record_is_short_and_complete(record):
    text = record.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert [section for section in SECTIONS if section in text] == list(SECTIONS)


def test_decision_records_are_numbered_without_gaps():
    assert [int(record.name[:4]) for record in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_table_of_packages_names_the_packages_that_exist():
    architecture = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    section = architecture.split("\n## Packages\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    packages = [
        ".".join(file.parent.relative_to(PROJECT).parts)
        for folder in ("schemas", "store", "pipelines")
        for file in (PROJECT / folder).rglob("__init__.py")
    ]
    assert len(rows) == len(set(rows))
    assert sorted(rows) == sorted(packages)


def test_the_import_rules_are_those_of_the_linter():
    architecture = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    section = architecture.split("\n## Imports\n")[1].split("\n## ")[0]
    packages, *inside = [rule for rule in import_rules() if rule["type"] == "layers"]
    block = section.split("```")[1].split("\n")
    assert [line.split() for line in block if line] == [layer.split(" | ") for layer in layers_of(packages)]
    table = {
        row[0]: [re.findall(r"`(\w+)`", layer) for layer in row[1].split(";")]
        for row in re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section, re.MULTILINE)
    }
    for rule in inside:
        layers = [layer.split(" | ") for layer in layers_of(rule)]
        package = rule.get("containers", [layers[0][0].rpartition(".")[0]])[0].removeprefix("matstrata.")
        assert table.pop(package) == [[name.rpartition(".")[2] for name in layer] for layer in layers]
    assert table == {}


def import_rules():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def layers_of(rule):
    return [layer.replace("matstrata.", "") for layer in rule["layers"]]


def test_documents_name_only_modules_that_exist():
    named = {
        (document.name, path)
        for document in DOCUMENTS
        if document.parent.name != "contributing"  # recipes add files
        for path in re.findall(
            r"`((?:schemas|store|pipelines|tests|benchmarks)/[\w/]+\.(?:py|yaml))`", document.read_text("utf-8")
        )
    }
    assert len(named) > 10
    assert {(document, path) for document, path in named if not (PROJECT / path).exists()} == set()
