"""Materials Project summaries, by its own client, into one file of JSON lines.

The client retries, honours Retry-After and pages by itself, but holds all documents in memory and can't resume: ask for
large parts through its OPTIMADE address (`pipelines.ingest.fetching.optimade`), or in several queries.
Not here: what a field means (the contract), and how structures are read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matstrata.schemas.errors import InputError, WorkError

log = logging.getLogger("matstrata.ingest")

KEY = "MP_API_KEY"
FIELDS = (
    "material_id",
    "formula_pretty",
    "structure",
    "band_gap",
    "is_gap_direct",
    "is_metal",
    "efermi",
    "formation_energy_per_atom",
    "energy_above_hull",
    "is_stable",
    "density",
    "volume",
    "nsites",
    "symmetry",
    "total_magnetization",
    "bulk_modulus",
    "shear_modulus",
    "theoretical",
    "last_updated",
)
_PAGE = 1000
_SERVER_FAULTS = ("status code 429", "status code 5", "timed out")  # the client's error has no status of its own


@dataclass(frozen=True, slots=True)
class MaterialsProjectQuery:
    """Which summaries.

    Attributes:
        criteria: keywords of `MPRester.materials.summary.search`, such as `{"chemsys": "Ga-As", "band_gap": (0.1, 3)}`;
            without "deprecated", deprecated materials are left out.
        fields: which fields of a summary.
        max_results: where to stop; everything without it.
        endpoint: another address of the same interface.
    """

    criteria: Mapping[str, object] = field(default_factory=dict)
    fields: tuple[str, ...] = FIELDS
    max_results: int | None = None
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if self.max_results is not None and self.max_results < 1:
            raise InputError("max_results counts materials: give at least 1")

    @property
    def sha256(self) -> str:
        """The hash of the query, by which its file is named."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


def fetch(query: MaterialsProjectQuery, folder: Path) -> Path:
    """Fetch all summaries that match, each as one JSON line, ordered by id.

    Args:
        query: what to fetch.
        folder: where the file goes; made if need be.

    Returns:
        `<sha256 of the query>.jsonl`, which replaces that of an earlier fetch in one step.

    Raises:
        InputError: the key or the client package is missing, the query was refused, or nothing matches it.
        WorkError: the service can't be reached or is faulty, or the folder can't be written.
    """
    documents = _search(query, _key())[: query.max_results]
    if not documents:
        raise InputError(f"the Materials Project has nothing that matches {dict(query.criteria)}; widen the criteria")
    final = folder / f"{query.sha256}.jsonl"
    draft = final.with_suffix(".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(as_line(document) + "\n" for document in documents)
        draft.replace(final)
    except OSError as error:
        raise WorkError(f"folder {folder} can't be written ({error.strerror}); make room, or choose another") from error
    log.info("Materials Project: complete, %s materials", f"{len(documents):,}")
    return final


def as_line(document: Mapping[str, object]) -> str:
    """A summary as one flat JSON object, without a line break.

    Nested fields get dotted names ("symmetry.number"); the structure (pymatgen's JSON) and lists become JSON text.
    """
    return json.dumps(dict(_flat(document)))


def _flat(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, list) or (name == "structure" and value is not None):
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _key() -> str:
    key = os.environ.get(KEY)
    if not key:
        raise InputError(
            f"the Materials Project wants a key, and {KEY} is not set; get one at https://materialsproject.org/api "
            f"(free, needs an account) and set the environment variable {KEY} to it"
        )
    return key


def _search(query: MaterialsProjectQuery, key: str) -> list[Mapping[str, object]]:
    try:
        from mp_api.client import MPRester  # deferred: 4 s, and an extra
        from mp_api.client.core.exceptions import MPRestError
    except ImportError as error:
        raise InputError(
            "the Materials Project's client is not installed; install Matstrata with its extra 'materials-project' "
            "(pip install 'matstrata[materials-project]')"
        ) from error
    from requests import RequestException

    page = min(_PAGE, query.max_results or _PAGE)
    pages = None if query.max_results is None else math.ceil(query.max_results / page)
    try:
        # plain documents: the client's models rewrite ids (mp-149 becomes mp-aaaaaaft)
        with MPRester(key, endpoint=query.endpoint, use_document_model=False, mute_progress_bars=True) as client:
            log.info("Materials Project: asking its database of %s", client.db_version)
            # "deprecated" also keeps the client from taking an empty query for a download of the whole database to disk
            documents = client.materials.summary.search(
                **{"deprecated": False, "_sort_fields": "material_id", **query.criteria},
                fields=list(query.fields),
                chunk_size=page,
                num_chunks=pages,
            )
    except MPRestError as error:
        faulty = isinstance(error.__context__, RequestException) or any(sign in str(error) for sign in _SERVER_FAULTS)
        if not faulty:
            raise InputError(
                f"the Materials Project refused the query: {error}; check the criteria and {KEY}"
            ) from error
        raise WorkError(f"the Materials Project could not answer: {error}; run the same command again") from error
    except (RequestException, ValueError, KeyError) as error:  # the heartbeat, which the client leaves unguarded
        raise WorkError(f"the Materials Project can't be reached or is faulty: {error}; run again later") from error
    return list(documents)
