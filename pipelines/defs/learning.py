"""Assets of one property's ensemble: training sets, source models, the ensemble, predictions.

Not here: training and predicting (`pipelines.learning.jobs`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from matstrata.pipelines.defs.automation import WHEN_CHANGED
from matstrata.pipelines.defs.features import features_key
from matstrata.pipelines.defs.resources import StoreResource
from matstrata.pipelines.defs.sources import observations_key
from matstrata.schemas.ensembles import EnsembleSpec
from matstrata.schemas.terms import Baseline, Metric, Split, Subset
from matstrata.store import models

COVERAGE_BOUNDS = (0.87, 0.93)


def training_sets_key(spec: EnsembleSpec) -> dg.AssetKey:
    """The key of an ensemble's training sets."""
    return dg.AssetKey(["training_sets", spec.name])


def source_model_key(spec: EnsembleSpec, source: str) -> dg.AssetKey:
    """The key of the model trained on one source alone."""
    return dg.AssetKey(["source_models", spec.name, re.sub(r"\W+", "_", source)])  # 'snumat_gaps:HSE06'


def ensemble_key(spec: EnsembleSpec) -> dg.AssetKey:
    """The key of an ensemble."""
    return dg.AssetKey(["ensembles", spec.name])


def predictions_key(spec: EnsembleSpec) -> dg.AssetKey:
    """The key of an ensemble's predictions."""
    return dg.AssetKey(["predictions", spec.name])


def learning_assets(spec: EnsembleSpec) -> list[dg.AssetsDefinition]:
    """All assets of a property's ensemble, in the order in which they are made."""
    return [
        _training_sets(spec),
        *(_source_model(spec, source) for source in spec.sources),
        _ensemble(spec),
        _predictions(spec),
    ]


def _training_sets(spec: EnsembleSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=training_sets_key(spec),
        deps=[*map(observations_key, spec.source_names), *map(features_key, spec.features)],
        group_name=spec.name,
        kinds={"parquet"},
        description=f"Labels of {', '.join(spec.sources)} joined to features, frozen under the hash of their content.",
        automation_condition=WHEN_CHANGED,
    )
    def training_sets(store: StoreResource) -> dg.MaterializeResult:
        from matstrata.pipelines.learning.jobs import training_sets  # deferred: 1.5 s, scikit-learn

        sets = training_sets(store.lake(), spec)
        identities = {source: training_set.training_set_id for source, training_set in sets.items()}
        return dg.MaterializeResult(
            data_version=dg.DataVersion("-".join(identity[:12] for identity in identities.values())),
            metadata={
                **{f"{source} (SHA-256)": identity for source, identity in identities.items()},
                **{f"{source} materials": training_set.table.num_rows for source, training_set in sets.items()},
            },
        )

    return training_sets


def _source_model(spec: EnsembleSpec, source: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=source_model_key(spec, source),
        deps=[training_sets_key(spec)],
        group_name=spec.name,
        kinds={"scikitlearn"},
        description=f"The model of {source} alone."
        if source == spec.target
        else f"The model of {source} alone, blind to every group of materials that {spec.target} measures.",
        automation_condition=WHEN_CHANGED,
    )
    def source_model(store: StoreResource) -> dg.MaterializeResult:
        from matstrata.pipelines.learning.jobs import train_source  # deferred: 1.5 s, scikit-learn

        trained = train_source(store.lake(), spec, source)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(trained.model_id),
            metadata={"model": trained.model_id, "newly trained": trained.is_new},
        )

    return source_model


def _ensemble(spec: EnsembleSpec) -> dg.AssetsDefinition:
    key = ensemble_key(spec)

    @dg.asset(
        key=key,
        deps=[source_model_key(spec, source) for source in spec.sources],
        group_name=spec.name,
        kinds={"scikitlearn"},
        description=f"{spec.predicts.title}: the stack of all source models, evaluated out of fold, by group.",
        automation_condition=WHEN_CHANGED,
        check_specs=[
            dg.AssetCheckSpec("coverage", asset=key, description="90 % intervals hold 87 to 93 % of unseen materials"),
            dg.AssetCheckSpec("not_worse", asset=key, description="its error is not above that of the one that serves"),
            dg.AssetCheckSpec("better_than_mean", asset=key, description="its error is below that of the mean"),
        ],
    )
    def ensemble(store: StoreResource) -> Iterator[dg.MaterializeResult]:
        from matstrata.pipelines.learning.jobs import train  # deferred: 1.5 s, scikit-learn
        from matstrata.pipelines.reports.figures.thumbnail import parity_png

        lake = store.lake()
        trained = train(lake, spec)
        figures = {
            (row["setting"], row["metric"]): row["value"]
            for row in models.metrics(lake, trained.model_id, protocol=Split.GROUPED_KFOLD, subset=Subset.ALL)
        }
        coverage = figures[spec.serving_setting, Metric.COVERAGE_90]
        error, baseline = figures[spec.serving_setting, Metric.MAE], figures[Baseline.MEAN, Metric.MAE]
        low, high = COVERAGE_BOUNDS
        with lake.reader() as con:
            parity = base64.b64encode(parity_png(con, spec.name)).decode()
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(trained.model_id),
            metadata={
                "model": trained.model_id,
                "newly trained": trained.is_new,
                "errors out of fold, by group": dg.MetadataValue.md(_errors_table(figures)),
                "parity": dg.MetadataValue.md(f"![parity](data:image/png;base64,{parity})"),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="coverage",
                    passed=low <= coverage <= high,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"coverage": coverage},
                ),
                dg.AssetCheckResult(
                    check_name="not_worse",
                    passed=models.may_serve(lake, trained.model_id, spec.name),
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"serving": models.serving(lake, spec.name)["model_id"], "MAE": error},
                ),
                dg.AssetCheckResult(
                    check_name="better_than_mean",
                    passed=error < baseline,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"MAE": error, "MAE of the mean": baseline},
                ),
            ],
        )

    return ensemble


def _predictions(spec: EnsembleSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=predictions_key(spec),
        deps=[ensemble_key(spec), *map(features_key, spec.features)],
        group_name=spec.name,
        kinds={"ducklake"},
        description=f"{spec.predicts.title} of every material in the store, with 90 % intervals.",
        automation_condition=WHEN_CHANGED,
    )
    def predictions(store: StoreResource) -> dg.MaterializeResult:
        from matstrata.pipelines.learning.jobs import predict_materials  # deferred: 1.5 s, scikit-learn

        lake = store.lake()
        done = predict_materials(lake, spec)
        rows, version = models.predictions_summary(lake, spec.name)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version), metadata={"newly predicted": done, "dagster/row_count": rows}
        )

    return predictions


def _errors_table(figures: dict[tuple[str, str], Any]) -> str:
    settings = dict.fromkeys(setting for setting, _ in figures)
    lines = [
        f"| {setting} | {figures[setting, 'mae']:.4g} | {figures[setting, 'rmse']:.4g} "
        f"| {figures.get((setting, 'coverage_90'), float('nan')):.3g} |"
        for setting in settings
    ]
    return "\n".join(["| setting | MAE | RMSE | coverage of 90 % intervals |", "|---|---|---|---|", *lines])
