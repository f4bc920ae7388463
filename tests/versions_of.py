"""A program: for each line on its input, print the signatures that the files of this copy of the project have now."""

from __future__ import annotations

import json
import sys

from matstrata.pipelines.descriptors.registry import FEATURE_SETS
from matstrata.pipelines.ingest import refresh
from matstrata.pipelines.ingest.sources import contracts
from matstrata.pipelines.learning import jobs
from matstrata.schemas import ensembles, properties
from matstrata.store.lake import code


def versions() -> dict[str, dict[str, str]]:
    """Signatures of sources and feature sets, and ids of models, for files and training sets that stay the same."""
    for function in (code.file_of, code._analysis, code._read, refresh._reading_code, jobs._learning_code):
        function.cache_clear()
    properties.properties.cache_clear()
    return {
        "sources": {name: refresh._signer(contract)(["0" * 64]) for name, contract in contracts().items()},
        "features": {name: feature_set.signature() for name, feature_set in FEATURE_SETS.items()},
        "models": {name: jobs._model_id(spec, "training set") for name, spec in ensembles.ensembles().items()},
    }


for _ in sys.stdin:
    sys.stdout.write(json.dumps(versions()) + "\n")
    sys.stdout.flush()
