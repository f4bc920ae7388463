"""The report of one property: reads the store, makes sentences and figures, fills the template.

It reads the store's public tables only, and writes nothing. The text depends on the snapshot alone: no clock, no paths.
Not here: the file on disk (`report`), the overview of the store (`store_page`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import duckdb
import pyarrow as pa

from matstrata.pipelines.reports import chemical_space, embeddings, findings, queries, wording
from matstrata.pipelines.reports.figures import chemical_space as space_figures
from matstrata.pipelines.reports.figures import data as data_figures
from matstrata.pipelines.reports.figures import evaluation as evaluation_figures
from matstrata.pipelines.reports.figures import importance as importance_figures
from matstrata.pipelines.reports.html import render
from matstrata.schemas.ensembles import ensembles
from matstrata.schemas.properties import Property, get_property
from matstrata.schemas.rules import RULES
from matstrata.schemas.terms import Baseline, Metric, Subset
from matstrata.schemas.units import NO_UNIT

Context = dict[str, Any]

_MAP_CAPTIONS = {
    "pca": "Directions of the largest variance in the materials' descriptors; materials far apart are dissimilar.",
    "tsne": "Neighbors in descriptor space are neighbors on the map; distances between groups have no meaning.",
    "diffusion": "Materials connected by a chain of similar ones are close together; each arm is a family.",
}
_NO_EVALUATION: Mapping[str, Any] = {
    "headline": [], "place": None, "errors": [], "classes": [], "protocols": [], "comparisons": [], "worst": [],
    "parity": None, "residuals": None, "errors_figure": None, "coverage_figure": None, "calibration": None,
    "comparison_figure": None, "curve": None, "importance": None, "effects": None, "singles": [], "tiles": [],
    "noise": None,
}  # fmt: skip


def build(con: duckdb.DuckDBPyConnection, property_name: str, *, snapshot: int) -> str:
    """Build the report of a property as one self-contained HTML page.

    Args:
        con: A connection on which the store's tables can be read by their bare names.
        property_name: Canonical name of the property.
        snapshot: The snapshot that `con` reads; it is printed, and the example queries are pinned to it.

    Raises:
        InputError: The property is unknown.
    """
    prop = get_property(property_name)
    labels = queries.label_counts(con, property_name).to_pylist()
    declared = ensembles().get(property_name)
    names: list[str] = sorted({*(row["source"] for row in labels), *(declared.source_names if declared else ())})
    sources = queries.sources(con, names).to_pylist()
    model = next(iter(queries.ensemble(con, property_name).to_pylist()), None)
    used = model["features"] if model else (declared.features if declared else ())
    return render(
        {
            "prop": prop,
            "is_pure_number": prop.unit == NO_UNIT,
            "snapshot": snapshot,
            "model": model,
            "newest_data": max((row["refreshed_at"] for row in sources if row["refreshed_at"]), default=None),
            "labels": labels,
            "labeled": queries.labeled_materials(con, property_name),
            "sources": sources,
            "missing_sources": sorted(set(names) - {row["source"] for row in sources}),
            "validations": queries.validations(con, names).to_pylist(),
            "feature_sets": queries.feature_sets(con, used or ()).to_pylist(),
            "example_queries": queries.example_queries(property_name, snapshot),
            "text": wording,
            **_evaluation(con, prop, model),
            **_coverage(con, property_name, names),
            **_rejections(con, names),
            **_chemical_space(con, prop, declared.target if declared else None, names, used or ()),
        }
    )


def _evaluation(con: duckdb.DuckDBPyConnection, prop: Property, model: Mapping[str, Any] | None) -> Context:
    """The results of the ensemble's evaluation; all empty without one."""
    context: Context = dict(_NO_EVALUATION)
    if model is None:
        return context
    metrics = findings.index_metrics(queries.metrics(con, model["model_id"]))
    place = findings.headline_place(metrics)
    if place is None:
        return context
    protocol, setting = place
    out_of_fold = queries.out_of_fold(con, model["model_id"])
    coverages = findings.interval_coverage(out_of_fold)
    comparisons = findings.computed_data_benefit(metrics, out_of_fold, prop.zero_class)
    calibration = findings.calibration(metrics, place, prop.zero_class)
    curve = queries.learning_curve(con, model["model_id"])
    overall = [row for row in comparisons if (row.protocol, row.setting, row.subset) == (*place, Subset.ALL)]
    context |= {
        "place": place,
        "headline": [*findings.headline(metrics, prop), *(row.sentence(prop.unit) for row in overall)],
        "tiles": _tiles(metrics, place, prop),
        "protocols": findings.protocols(metrics),
        "errors": _error_rows(metrics, Subset.ALL),
        "classes": [
            (subset, _error_rows(metrics, subset))
            for subset in sorted({subset for _, _, subset, _ in metrics} - {Subset.ALL})
        ],
        "comparisons": comparisons,
        "comparison_figure": (
            evaluation_figures.computed_data_benefit(comparisons, prop=prop) if comparisons else None
        ),
        "calibration": evaluation_figures.calibration_curve(calibration) if calibration else None,
        "curve": evaluation_figures.learning_curve(curve, prop=prop) if curve.num_rows else None,
        "noise": findings.replicate_noise(metrics),
        "errors_figure": evaluation_figures.errors_by_setting(metrics, prop=prop),
        "coverage_figure": evaluation_figures.interval_coverage(coverages) if coverages else None,
    }
    if (part := findings.select(out_of_fold, protocol, setting)).num_rows:
        context |= _importance(con, prop, model["model_id"], part)
        context["residuals"] = evaluation_figures.residuals(part, prop=prop)
        context["parity"] = evaluation_figures.parity(out_of_fold, prop=prop, protocol=protocol, choice=setting)
        context["worst"] = queries.largest_errors(
            con, model["model_id"], prop.name, protocol=protocol, setting=setting
        ).to_pylist()
    return context


def _importance(con: duckdb.DuckDBPyConnection, prop: Property, model_id: str, part: pa.Table) -> Context:
    """Permutation importance over all materials and for a few; empty where none was measured."""
    importances, effects = queries.importances(con, model_id), queries.effects(con, model_id)
    if not importances.num_rows or not effects.num_rows:
        return {}
    effects_of: dict[str, list[Context]] = {}
    for row in effects.to_pylist():
        effects_of.setdefault(row["material_id"], []).append(row)
    return {
        "importance": importance_figures.importance(importances, prop=prop),
        "effects": importance_figures.effects(effects, importances, prop=prop),
        "explained": len(effects_of),
        "singles": [
            (title, row, importance_figures.single_prediction(effects_of[row["material_id"]], prop=prop))
            for title, row in findings.example_materials(part, effects_of)
        ],
    }


def _tiles(metrics: findings.Metrics, place: tuple[str, str], prop: Property) -> list[tuple[str, str]]:
    """The headline figures, each with its caption."""
    protocol, _ = place

    def error(setting: str) -> str:
        return wording.with_unit(metrics.get((protocol, setting, Subset.ALL, Metric.MAE)), prop.unit)

    return [
        (error(place[1]), "mean absolute error"),
        (error(Baseline.SINGLE), "MAE of a single model"),
        (error(Baseline.MEAN), "MAE of predicting the mean"),
        (wording.percent(metrics.get((*place, Subset.ALL, Metric.COVERAGE_90))), "coverage of 90\u00a0% intervals"),
        (wording.count(metrics.get((*place, Subset.ALL, Metric.N))), "held-out materials"),
    ]


def _error_rows(metrics: findings.Metrics, subset: str) -> list[Context]:
    """Per setting, its metrics on every protocol."""
    protocols = findings.protocols(metrics)
    lowest = {
        protocol: min(values)
        for protocol in protocols
        if (values := [v for (p, _, s, m), v in metrics.items() if (p, s, m) == (protocol, subset, Metric.MAE)])
    }
    rows = []
    for setting in findings.settings(metrics):
        cells = [
            {str(metric): metrics.get((protocol, setting, subset, metric)) for metric in Metric}
            | {"best": metrics.get((protocol, setting, subset, Metric.MAE)) == lowest.get(protocol, -1)}
            for protocol in protocols
        ]
        if any(cell[Metric.MAE] is not None for cell in cells):
            rows.append({"setting": setting, "meaning": wording.MEANINGS.get(setting, ""), "cells": cells})
    return rows


def _coverage(con: duckdb.DuckDBPyConnection, property_name: str, names: Sequence[str]) -> Context:
    """The elements that are covered, and the materials that sources share."""
    counts = {row["element"]: row["materials"] for row in queries.element_counts(con, property_name).to_pylist()}
    overlap = queries.source_overlap(con, names)
    return {
        "elements": len(counts),
        "most_common": list(counts.items())[:3],
        "elements_figure": data_figures.periodic_coverage(counts) if counts else None,
        "overlap_figure": data_figures.source_overlap(overlap) if overlap.num_rows else None,
        "pairs": _pairs(overlap),
    }


def _pairs(overlap: pa.Table) -> list[tuple[str, list[int | None]]]:
    """Lower triangle of shared materials: per source its row of counts, None above the diagonal."""
    rows = overlap.to_pylist()
    names = sorted({source for row in rows for source in row["sources"]})
    shared = {
        (a, b): sum(row["materials"] for row in rows if a in row["sources"] and b in row["sources"])
        for a, b in combinations_with_replacement(names, 2)
    }
    return [(b, [shared.get((a, b)) for a in names]) for b in names]


def _rejections(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Context:
    """Rejected records by rule: totals with the rule's own sentences, and examples."""
    by_rule = queries.rejections_by_rule(con, names)
    totals: Counter[str] = Counter()
    for row in by_rule.to_pylist():
        totals[row["rule_id"]] += row["records"]
    return {
        "rules": [(rule_id, total, RULES.get(rule_id)) for rule_id, total in totals.most_common()],
        "rejections_figure": data_figures.rejections_by_rule(by_rule) if by_rule.num_rows else None,
        "examples": queries.rejection_examples(con, names).to_pylist(),
    }


def _chemical_space(
    con: duckdb.DuckDBPyConnection, prop: Property, target: str | None, names: Sequence[str], used: Sequence[str]
) -> Context:
    """Maps of the materials, parallel axes and clusters; none where too few materials have descriptors."""
    versions = [f"{row['name']}_v{row['version']}" for row in queries.feature_sets(con, used).to_pylist()]
    if target is None or not versions:
        return {"maps": [], "sample": None}
    table = queries.with_descriptors(
        con, prop.name, target, names, versions,
        measured=chemical_space.MAP_MEASURED, computed=chemical_space.MAP_COMPUTED,
    )  # fmt: skip
    materials = chemical_space.materials_of(table)
    if materials is None:
        return {"maps": [], "sample": None}
    measured = int(materials.measured.sum())
    axes = chemical_space.informative_descriptors(materials, chemical_space.PARALLEL_AXES)
    lines = chemical_space.some_measured(materials, chemical_space.PARALLEL_LINES)
    columns = chemical_space.informative_descriptors(materials, chemical_space.CLUSTER_COLUMNS)
    clustered = chemical_space.some_measured(materials, chemical_space.CLUSTER_ROWS)
    row_tree = embeddings.cluster(clustered.points[:, columns])
    column_tree = embeddings.cluster(clustered.points[:, columns].T)
    return {
        "sample": {"measured": measured, "computed": len(materials.material_ids) - measured},
        "clustered": len(clustered.material_ids),
        "lines": len(lines.material_ids),
        "maps": _maps(materials, prop),
        "parallel": space_figures.parallel_axes(lines, axes, prop=prop),
        "clusters": space_figures.cluster_heat_map(clustered, columns, row_tree, column_tree, prop=prop),
    }


def _maps(materials: chemical_space.Materials, prop: Property) -> list[tuple[str, Any, str]]:
    """Each map's title, figure and caption."""
    components = embeddings.principal_components(materials.points, 10)
    diffusion = embeddings.diffusion_map(components.scores, 2)
    variance = [f"{100 * share:.0f} % of the variance" for share in components.shares[:2]]
    eigenvalues = [f"eigenvalue {share:.2f}" for share in diffusion.shares]
    maps = (
        ("Principal components", components.scores[:, :2],
         (f"First component ({variance[0]})", f"Second component ({variance[1]})"), _MAP_CAPTIONS["pca"]),
        ("t-SNE", embeddings.tsne(materials.points), ("First coordinate", "Second coordinate"), _MAP_CAPTIONS["tsne"]),
        ("Diffusion map", diffusion.scores,
         (f"First coordinate ({eigenvalues[0]})", f"Second coordinate ({eigenvalues[1]})"), _MAP_CAPTIONS["diffusion"]),
    )  # fmt: skip
    return [
        (title, space_figures.material_map(materials, coordinates, axes, prop=prop), caption)
        for title, coordinates, axes, caption in maps
    ]
