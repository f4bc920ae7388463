"""A frozen training set as a folder for others: data, manifest, Croissant metadata, citation files.

The data file holds exactly the frozen columns, so that its content has the hash of the manifest. Not here: freezing and
verifying (`store.datasets.named`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.atomic import appearing

DataFormat = Literal["parquet", "csv"]

_MEDIA_TYPES: Mapping[DataFormat, str] = {"parquet": "application/x-parquet", "csv": "text/csv"}
_DATA_TYPES = {"string": "sc:Text", "double": "sc:Float", "int64": "sc:Integer", "bool": "sc:Boolean"}

# The context that the format prescribes, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "conformsTo": "dct:conformsTo",
    **{
        word: f"cr:{word}"
        for word in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet"),
            *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
            "transform",
        )
    },
}


def publish(folder: Path, name: str, table: pa.Table, manifest: Mapping[str, Any], format: DataFormat) -> list[Path]:
    """Write a frozen training set into a new folder, all files or none.

    Args:
        folder: Must not exist, or be empty.
        name: Name of the dataset, and of its data file.
        table: The frozen table.
        manifest: Its manifest.
        format: Format of the data file.

    Returns:
        The files: data, manifest.json, croissant.json, CITATION.bib, CITATION.cff.

    Raises:
        InputError: The folder is not empty.
        WorkError: The folder can't be written.
    """
    folder = folder.resolve()  # '.' has no name
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} already exists; name a new folder")
        with appearing(folder) as partial:
            data = partial / f"{name}.{format}"
            _write_data(data, table, format)
            metadata = croissant(name, data, manifest, format)
            texts = {
                "manifest.json": json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
                "croissant.json": json.dumps(metadata, indent=2, ensure_ascii=False) + "\n",
                "CITATION.bib": "\n\n".join(_citations(manifest)) + "\n",
                "CITATION.cff": citation_file(name, manifest),
            }
            for file, text in texts.items():
                (partial / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkError(f"{folder} can't be written: {error}") from error
    return [folder / data.name, *(folder / file for file in texts)]


def croissant(name: str, data: Path, manifest: Mapping[str, Any], format: DataFormat) -> dict[str, Any]:
    """Croissant 1.0 metadata of a data file; see http://mlcommons.org/croissant/1.0."""
    with data.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    request, sources = manifest["request"], manifest["sources"]
    labels = ", ".join(request.get("properties", [request.get("property")]))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": (
            f"{labels} of {manifest['rows']:,} materials with the descriptors {', '.join(request['features'])}, from "
            f"{'; '.join(source['title'] or source['source'] for source in sources)}. Frozen by Matstrata from "
            f"snapshot {manifest['snapshot']}; SHA-256 of the content {manifest['content_sha256']}."
        ),
        "url": f"urn:sha256:{manifest['training_set_id']}",
        "version": f"{manifest['snapshot']}.0.0",
        "datePublished": _moment(manifest).isoformat(),
        "license": sorted({source["licence"] for source in sources if source["licence"]}),
        "citeAs": "\n\n".join(_citations(manifest)),
        "isBasedOn": [f"https://doi.org/{source['doi']}" for source in sources if source["doi"]],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "data",
                "name": data.name,
                "contentUrl": data.name,
                "encodingFormat": _MEDIA_TYPES[format],
                "sha256": digest,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "description": "one labelled material by one source, kind and method",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"rows/{column['name']}",
                        "name": column["name"],
                        "description": column["meaning"],
                        "dataType": _DATA_TYPES[column["type"]],
                        "source": {"fileObject": {"@id": "data"}, "extract": {"column": column["name"]}},
                    }
                    for column in manifest["columns"]
                ],
            }
        ],
    }


def citation_file(name: str, manifest: Mapping[str, Any]) -> str:
    """The citations as a CITATION.cff 1.2.0 (https://citation-file-format.github.io): each source is a reference."""
    return yaml.safe_dump(
        {
            "cff-version": "1.2.0",
            "title": name,
            "message": "If you use this dataset, please cite its sources, which are listed as references.",
            "type": "dataset",
            "authors": [{"name": "The authors of the references"}],
            "date-released": f"{_moment(manifest):%Y-%m-%d}",
            "identifiers": [
                {
                    "type": "other",
                    "value": f"urn:sha256:{manifest['training_set_id']}",
                    "description": "training set id: SHA-256 of request and content",
                }
            ],
            "references": [_reference(source) for source in manifest["sources"]],
        },
        sort_keys=False,
        allow_unicode=True,
    )


def _reference(source: Mapping[str, Any]) -> dict[str, Any]:
    """One source as a CFF reference; where its BibTeX can't be read, its title and DOI."""
    from bibtexparser import loads  # deferred: 0.1 s

    entries = loads(source["citation"] or "").entries
    entry = entries[0] if entries else {}
    authors = [
        _person(author) for author in entry.get("author", "").replace("\n", " ").split(" and ") if author.strip()
    ]
    year = entry.get("year", "")
    facts = {
        "type": "article" if entry.get("journal") else "data",
        "title": entry.get("title", source["title"] or source["source"]).strip("{}"),
        "authors": authors or [{"name": source["title"] or source["source"]}],
        "journal": entry.get("journal"),
        "year": int(year) if year.isdecimal() else None,
        "doi": source["doi"] or entry.get("doi"),
        "notes": f"Matstrata source {source['source']}; licence: {source['licence'] or 'not stated'}",
    }
    return {name: value for name, value in facts.items() if value is not None}


def _person(author: str) -> dict[str, str]:
    family, comma, given = author.partition(",")
    if not comma:
        given, _, family = author.strip().rpartition(" ")
    if not given.strip():
        return {"name": family.strip(" {}")}
    return {"family-names": family.strip(" {}"), "given-names": given.strip(" {}")}


def _citations(manifest: Mapping[str, Any]) -> Sequence[str]:
    texts = (source["citation"].strip() for source in manifest["sources"] if source["citation"])
    return list(dict.fromkeys(texts))


def _moment(manifest: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(manifest["snapshot_time_us"] / 1_000_000, UTC)


def _write_data(file: Path, table: pa.Table, format: DataFormat) -> None:
    if format == "parquet":
        pq.write_table(table.combine_chunks(), file, compression="zstd")
        return
    import duckdb  # deferred: 0.1 s

    from matstrata.pipelines.serving.export import export  # safe to open in a spreadsheet

    with duckdb.connect() as con:
        con.register("dataset", table)
        export(con.execute("FROM dataset"), "csv", file)
