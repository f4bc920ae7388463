"""Reader of the datasets that matminer distributes, loaded by matminer itself; structures come out as JSON.

matminer's files are JSON, so that the reader `json` takes them too; this one is for objects that only matminer's own
decoder understands. Not here: fetching (`pipelines.ingest.fetching.files`); matminer never downloads anything for us.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from matstrata.pipelines.ingest.readers.archives import read_bytes
from matstrata.pipelines.ingest.readers.interface import Reader
from matstrata.pipelines.ingest.readers.json_records import cell_text
from matstrata.pipelines.ingest.readers.tables import FileTable, check_names, check_options, gather
from matstrata.pipelines.ingest.records import RawRecords, ReadError, SourceFile
from matstrata.schemas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_GZIP = b"\x1f\x8b"


def read(files: Sequence[SourceFile], options: Mapping[str, object]) -> RawRecords:
    """Read one dataset of matminer.

    Args:
        files: the dataset's file, as matminer distributes it.
        options: `name`: the dataset's name at matminer; without it, the file's name up to ".json".

    Returns:
        The data frame's columns as strings, nothing null: compositions as formulas, structures and other objects as
        JSON, numbers in the shortest form that gives the same number. `source_record` is "row 17".

    Raises:
        InputError: an option is wrong, or matminer knows no dataset of that name.
        ReadError: there are several files, or the file is damaged.
    """
    check_options("matminer_dataset", options, ("name",))
    name = options.get("name")
    if name is not None and not isinstance(name, str):
        raise InputError(f"options.name must be the name of a dataset of matminer, not {name!r}")
    if len(files) != 1:
        raise ReadError(f"a dataset of matminer is one file, not {len(files)}; keep one, or make a contract for each")
    return gather(files, partial(_read_file, name=name or files[0].name.partition(".json")[0]))


def _read_file(file: SourceFile, name: str) -> FileTable:
    frame = _load(file, name)
    names = [str(column) for column in frame.columns]
    check_names(names, file, "with the reader json", "check options.name")
    columns = [pa.array([_text(value) for value in frame.iloc[:, at]], pa.string()) for at in range(len(names))]
    return FileTable(pa.table(columns, names=names))


def _load(file: SourceFile, name: str) -> pd.DataFrame:
    from matminer.datasets import get_all_dataset_info, load_dataset  # deferred: 0.6 s

    read_bytes(file)  # for its words about files that are empty, truncated, or unpack without end
    try:
        get_all_dataset_info(name)
    except (ValueError, KeyError) as error:
        raise InputError(f"matminer has no dataset {name!r}; correct options.name") from error
    with _home(file, name) as home:
        try:
            frame = load_dataset(name, data_home=str(home), download_if_missing=False)
            if not hasattr(frame, "columns"):
                raise TypeError("it holds no table")  # noqa: TRY301
        # the decoder makes objects of whatever the file names, and meets damage with whatever they raise
        except Exception as error:
            raise ReadError(
                f"{file.name} can't be read as matminer's {name} ({type(error).__name__}: {error}); "
                "fetch the source again, or correct options.name"
            ) from error
    return frame


@contextmanager
def _home(file: SourceFile, name: str) -> Iterator[Path]:
    """A folder in which matminer finds the file under the name that it expects."""
    expected = f"{name}.json.gz"
    if file.path.name == expected:
        yield file.path.parent
        return
    with file.path.open("rb") as stream:
        if stream.read(2) != _GZIP:
            raise ReadError(f"{file.name} is not gzipped, as the datasets of matminer are; use the reader json")
    with TemporaryDirectory(prefix="matstrata-") as folder:  # files found by hash may have any name
        (Path(folder) / expected).symlink_to(file.path.resolve())
        yield Path(folder)


def _text(value: Any) -> str:
    if isinstance(value, float) and math.isnan(value):
        return ""
    if hasattr(value, "fractional_composition"):  # a Composition, whose dict would lose that it is one
        return str(value.formula).replace(" ", "")
    if hasattr(value, "as_dict"):
        return json.dumps(value.as_dict(), ensure_ascii=False, default=_plain)
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    return cell_text(value)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


READER = Reader("matminer_dataset", read)
