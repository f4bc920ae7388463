"""A part of what the main job reads, with contracts of its own: the whole chain in a fraction of the time.

For tests that run all of it once more and ask what is made, not how good it is.
"""

from __future__ import annotations

import io
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from matstrata.schemas.contracts import SHIPPED

MEASURED, COMPUTED = 3, 100  # every third measurement, every hundredth computation
COMPUTED_PROPERTIES = 2  # of ten, each of which has a model of its own
TOUCHED = "database/CsCl/Li.yml"  # the only file about CsCl


def write_part(folder: Path, *, touched: bool = False) -> None:
    """Write two contracts and their files into a folder; if `touched`, a Sellmeier coefficient of CsCl is larger."""
    with (
        tarfile.open(_bundled("optical_polyanskiy/database.tar.xz")) as whole,
        tarfile.open(folder / "measured.tar", "w") as part,
    ):
        for number, member in enumerate(member for member in whole if member.isfile()):
            if number % MEASURED and member.name != TOUCHED:
                continue
            content = whole.extractfile(member).read()
            if touched and member.name == TOUCHED:
                assert content.count(b"0.98369") == 1
                content = content.replace(b"0.98369", b"1.08369")
            member.size = len(content)
            part.addfile(member, io.BytesIO(content))
    _write_contract(folder, "refractiveindex_info", "measured.tar")
    with tarfile.open(_bundled("mp_transport/transport_database.tar.xz")) as whole:
        heading, *lines = whole.extractfile("transport_database.csv").read().splitlines(keepends=True)
    (folder / "computed.csv").write_bytes(b"".join([heading, *lines[::COMPUTED]]))
    options = {"delimiter": ",", "encoding": "utf-8"}
    values = _shipped("ricci_transport")["values"][:COMPUTED_PROPERTIES]
    _write_contract(folder, "ricci_transport", "computed.csv", options=options, values=values)


def _write_contract(folder: Path, source: str, file: str, **fields: Any) -> None:
    contract = _shipped(source) | {"files": [{"path": file}], **fields}
    (folder / f"{source}.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")


def _shipped(source: str) -> dict[str, Any]:
    """The contract of a source as it comes with the project."""
    contract: dict[str, Any] = yaml.safe_load((SHIPPED / f"{source}.yaml").read_text(encoding="utf-8"))
    return contract


def _bundled(file: str) -> Path:
    """A file that comes with matminer."""
    package = find_spec("matminer")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "utils" / "data_files" / file
