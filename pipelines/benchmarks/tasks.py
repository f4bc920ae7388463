"""The tasks of benchmarks: rows with formulas, measured values and test folds, and what was published about them.

Published predictions are scored again on the same rows; figures that are only printed in a paper are marked as such.
Not here: the models that are evaluated (`evaluation`), nor where files are (`running`).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matstrata.pipelines.benchmarks.scores import score
from matstrata.schemas.errors import InputError

MATBENCH_SEED = 18012019  # of the official folds: KFold(5, shuffle=True, random_state=18012019) over the rows


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark's rows.

    Attributes:
        formulas: n formulas as written.
        values: (n,) measured values.
        folds: (n,) the published fold in which a row is tested, -1 for rows that are only trained on; None where no
            folds were published.
        split: How they were made, in words.
        published: Published figures on the same rows, by name of the model.
    """

    formulas: tuple[str, ...]
    values: NDArray[np.float64]
    folds: NDArray[np.intp] | None = None
    split: str = ""
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_task(name: str, files: Mapping[str, Path]) -> Task:
    """Read a benchmark that has files of its own, given by the keys of `benchmarks.yaml`.

    Raises:
        InputError: The benchmark has no reader, or the published predictions do not belong to the rows.
    """
    if name not in _READERS:
        raise InputError(f"benchmark {name} declares files, but has no reader for them; add one in {__name__}")
    return _READERS[name](files)


def _kauwe2020(files: Mapping[str, Path]) -> Task:
    formulas, values, folds = [], [], []
    for part, fold in (("train", -1), ("test", 0)):
        rows = _rows(files[part])
        formulas += [row["formula"] for row in rows]
        values += [float(row["target"]) for row in rows]
        folds += [fold] * len(rows)
    measured, is_test = np.array(values), np.array(folds) == 0
    train, test = measured[~is_test], measured[is_test]
    predicted = {
        name: {part: _column(files[f"{name}_{part}"]) for part in ("train", "test")} for name in _EXPERIMENT_ALONE
    }
    predicted["combined"] = {part: _column(files[f"combined_{part}"]) for part in ("train", "test")}
    for name, parts in predicted.items():
        if len(parts["train"]) != len(train) or len(parts["test"]) != len(test):
            raise InputError(f"the published predictions of {name} do not have the rows of the published split")
    published = {name: _figures(predicted[name]["test"], test, "experiment alone") for name in _EXPERIMENT_ALONE}
    published["ensemble"] = _figures(_published_ensemble(predicted, train), test, "their stack with DFT")
    return Task(tuple(formulas), measured, np.array(folds), "the published 1,986 training and 497 test rows", published)


_EXPERIMENT_ALONE = ("svr", "gbr", "rf")


def _published_ensemble(
    predictions: Mapping[str, Mapping[str, NDArray[np.float64]]], train: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit their meta-learner to their published predictions, with the parameters of their repository."""
    from sklearn.svm import SVR  # deferred: 1.5 s

    inputs = {part: np.column_stack([parts[part] for parts in predictions.values()]) for part in ("train", "test")}
    predicted: NDArray[np.float64] = SVR(C=150, gamma=0.003).fit(inputs["train"], train).predict(inputs["test"])
    return predicted


def _matbench_expt_gap(files: Mapping[str, Path]) -> Task:
    from sklearn.model_selection import KFold  # deferred: 1.5 s

    rows = _rows(files["rows"])
    values = np.array([float(row["target"]) for row in rows])
    folds = np.empty(len(rows), dtype=np.intp)
    for fold, (_, test) in enumerate(KFold(5, shuffle=True, random_state=MATBENCH_SEED).split(rows)):
        folds[test] = fold
    published = {}
    for name in ("darwin", "saasbo_crabnet"):
        with gzip.open(files[name], "rt", encoding="utf-8") as stream:
            results = json.load(stream)["tasks"]["matbench_expt_gap"]["results"]
        predictions = np.full(len(rows), np.nan)
        for fold in range(5):
            for identifier, value in results[f"fold_{fold}"]["data"].items():
                row = int(identifier.rsplit("-", 1)[1]) - 1
                predictions[row] = value
                if folds[row] != fold:
                    raise InputError(
                        f"{identifier} of {name} is in official fold {fold}, but in fold {folds[row]} here"
                    )
        published[name] = _figures(predictions, values, "leaderboard of Matbench")
    formulas = tuple(row["formula"] for row in rows)
    return Task(formulas, values, folds, f"the official five folds (seed {MATBENCH_SEED})", published)


_READERS: Mapping[str, Callable[[Mapping[str, Path]], Task]] = {
    "kauwe2020": _kauwe2020,
    "matbench_expt_gap": _matbench_expt_gap,
}


def _figures(predicted: NDArray[np.float64], measured: NDArray[np.float64], note: str) -> dict[str, Any]:
    return {**score(predicted, measured), "recomputed": True, "note": note}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _column(path: Path) -> NDArray[np.float64]:
    """Read the numbers of a one-column file, with or without a header."""
    words = path.read_text(encoding="utf-8").split("\n")
    numbers = [word.strip() for word in words if word.strip()]
    if not numbers[0].replace(".", "").replace("-", "").replace("e", "").isdigit():
        numbers = numbers[1:]
    return np.array(numbers, dtype=np.float64)
