"""The report of one property: asks the store, makes sentences and figures, fills the template.

Reads the store's public tables only, and writes nothing. The text depends on the snapshot alone: no clock, no paths.
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

Context = dict[str, Any]

MAPS = {
    "pca": "Directions along which the materials' descriptors differ most; far apart means unlike.",
    "tsne": "Neighbours in all descriptors are drawn as neighbours; distances between groups say nothing.",
    "diffusion": "Materials that small steps from like to like connect lie close; arms are families.",
}


def build(con: duckdb.DuckDBPyConnection, property_name: str, *, snapshot: int) -> str:
    """The report of a property as one self-contained HTML page.

    Args:
        con: a connection on which the store's tables can be read by their bare names.
        property_name: canonical name of the property.
        snapshot: the snapshot that `con` reads; it is printed, and the example queries are pinned to it.

    Raises:
        InputError: unknown property.
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
            "snapshot": snapshot,
            "model": model,
            "target": declared.target if declared else None,
            "newest_data": max((row["refreshed_at"] for row in sources if row["refreshed_at"]), default=None),
            "labels": labels,
            "labelled": queries.labelled_materials(con, property_name),
            "sources": sources,
            "missing_sources": sorted(set(names) - {row["source"] for row in sources}),
            "validations": queries.validations(con, names).to_pylist(),
            "feature_sets": queries.feature_sets(con, used or ()).to_pylist(),
            "to_try": queries.to_try(property_name, snapshot),
            "say": wording,
            **_evaluation(con, prop, model),
            **_coverage(con, property_name, names),
            **_rejections(con, names),
            **_views(con, prop, declared.target if declared else None, names, used or ()),
        }
    )


def _evaluation(con: duckdb.DuckDBPyConnection, prop: Property, model: Mapping[str, Any] | None) -> Context:
    """What the ensemble's evaluation found; all empty where there is none."""
    found: Context = {
        "headline": [], "place": None, "errors": [], "classes": [], "protocols": [], "dft": [], "worst": [],
        "parity": None, "residuals": None, "errors_figure": None, "coverage_figure": None, "calibration": None,
        "dft_figure": None, "curve": None, "importance": None, "effects": None, "singles": [], "tiles": [],
        "noise": None,
    }  # fmt: skip
    if model is None:
        return found
    measured = findings.index_metrics(queries.metrics(con, model["model_id"]))
    place = findings.headline_place(measured)
    if place is None:
        return found
    protocol, setting = place
    held_out = queries.out_of_fold(con, model["model_id"])
    coverages = findings.interval_coverage(held_out)
    dft = findings.what_dft_added(measured, held_out, prop.zero_class)
    curves = findings.calibration(measured, place, prop.zero_class)
    learned = queries.learning_curve(con, model["model_id"])
    found |= {
        "place": place,
        "headline": findings.headline(measured, prop)
        + [row.sentence(prop.unit) for row in dft if (row.protocol, row.setting, row.subset) == (*place, "all")],
        "tiles": _tiles(measured, place, prop),
        "protocols": findings.protocols(measured),
        "errors": _error_rows(measured, "all"),
        "classes": [
            (subset, _error_rows(measured, subset)) for subset in sorted({s for _, _, s, _ in measured} - {"all"})
        ],
        "dft": dft,
        "dft_figure": evaluation_figures.what_dft_added(dft, prop=prop) if dft else None,
        "calibration": evaluation_figures.calibration_curve(curves) if curves else None,
        "curve": importance_figures.learning_curve(learned, prop=prop) if learned.num_rows else None,
        "noise": findings.replicate_noise(measured),
        "errors_figure": evaluation_figures.errors_by_setting(measured, prop=prop),
        "coverage_figure": evaluation_figures.interval_coverage(coverages) if coverages else None,
    }
    if (part := findings.select(held_out, protocol, setting)).num_rows:
        found |= _insight(con, prop, model["model_id"], part)
        found["residuals"] = evaluation_figures.residuals(part, prop=prop)
        found["parity"] = evaluation_figures.parity(held_out, prop=prop, protocol=protocol, choice=setting)
        found["worst"] = queries.largest_errors(
            con, model["model_id"], prop.name, protocol=protocol, setting=setting
        ).to_pylist()
    return found


def _insight(con: duckdb.DuckDBPyConnection, prop: Property, model_id: str, held_out: pa.Table) -> Context:
    """What carries the ensemble, over all and for a few materials; empty where it was not looked at."""
    order, effects = queries.importances(con, model_id), queries.effects(con, model_id)
    if not order.num_rows or not effects.num_rows:
        return {}
    of: dict[str, list[Context]] = {}
    for row in effects.to_pylist():
        of.setdefault(row["material_id"], []).append(row)
    return {
        "importance": importance_figures.importance(order, prop=prop),
        "effects": importance_figures.effects(effects, order, prop=prop),
        "looked_at": len(of),
        "singles": [
            (title, row, importance_figures.single_prediction(of[row["material_id"]], prop=prop))
            for title, row in findings.telling_materials(held_out, of)
        ],
    }


def _tiles(measured: findings.Figures, place: tuple[str, str], prop: Property) -> list[tuple[str, str]]:
    """The headline figures, each with its caption."""
    say, n = wording, measured.get((*place, "all", "n"))
    return [
        (say.with_unit(measured.get((*place, "all", "mae")), prop.unit), "mean absolute error"),
        (say.with_unit(measured.get((place[0], "single", "all", "mae")), prop.unit), "of one plain model"),
        (say.with_unit(measured.get((place[0], "mean", "all", "mae")), prop.unit), "of guessing the mean"),
        (say.percent(measured.get((*place, "all", "coverage_90"))), "inside their 90\u00a0% interval"),
        (say.count(n), "held-out materials"),
    ]


def _error_rows(measured: findings.Figures, subset: str) -> list[Context]:
    """Per setting, its figures on every protocol: MAE, RMSE, R2, coverage, width and n."""
    best = {
        protocol: min(values)
        for protocol in findings.protocols(measured)
        if (values := [v for (p, _, s, m), v in measured.items() if (p, s, m) == (protocol, subset, "mae")])
    }
    rows = []
    for setting in findings.settings(measured):
        cells = [
            {
                metric: measured.get((protocol, setting, subset, metric))
                for metric in ("mae", "rmse", "r2", "coverage_90", "width_90", "n")
            }
            | {"best": measured.get((protocol, setting, subset, "mae")) == best.get(protocol, -1)}
            for protocol in findings.protocols(measured)
        ]
        if any(cell["mae"] is not None for cell in cells):
            rows.append({"setting": setting, "means": wording.SETTINGS.get(setting, ""), "cells": cells})
    return rows


def _coverage(con: duckdb.DuckDBPyConnection, property_name: str, names: Sequence[str]) -> Context:
    """Which elements are known, and which materials the sources share."""
    counts = {row["element"]: row["materials"] for row in queries.element_counts(con, property_name).to_pylist()}
    overlap = queries.source_overlap(con, names)
    return {
        "elements": len(counts),
        "commonest": list(counts.items())[:3],
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
    """Refused records by rule: totals with the rule's own sentences, and examples."""
    by_rule = queries.rejections_by_rule(con, names)
    totals: Counter[str] = Counter()
    for row in by_rule.to_pylist():
        totals[row["rule_id"]] += row["records"]
    return {
        "rules": [(rule_id, total, RULES.get(rule_id)) for rule_id, total in totals.most_common()],
        "rejections_figure": data_figures.rejections_by_rule(by_rule) if by_rule.num_rows else None,
        "examples": queries.rejection_examples(con, names).to_pylist(),
    }


def _views(
    con: duckdb.DuckDBPyConnection, prop: Property, target: str | None, names: Sequence[str], used: Sequence[str]
) -> Context:
    """Maps of the materials, parallel axes and clusters; none where too few are described."""
    versions = [f"{row['name']}_v{row['version']}" for row in queries.feature_sets(con, used).to_pylist()]
    if target is None or not versions:
        return {"maps": [], "drawn": None}
    drawn = chemical_space.materials_of(
        queries.described(
            con, prop.name, target, names, versions, measured=chemical_space.MEASURED, computed=chemical_space.COMPUTED
        )
    )  # fmt: skip
    if drawn is None:
        return {"maps": [], "drawn": None}
    components = embeddings.principal_components(drawn.points, 10)
    walk = embeddings.diffusion_map(components.scores, 2)
    slow, less = walk.shares
    first, second = (f"{100 * share:.0f} % of the variance" for share in components.shares[:2])
    axes = chemical_space.telling_descriptors(drawn, chemical_space.AXES)
    columns = chemical_space.telling_descriptors(drawn, chemical_space.COLUMNS)
    few = chemical_space.some_measured(drawn, chemical_space.ROWS)
    rows_tree = embeddings.cluster(few.points[:, columns])
    columns_tree = embeddings.cluster(few.points[:, columns].T)
    return {
        "drawn": {"measured": int(drawn.measured.sum()), "computed": int((~drawn.measured).sum())},
        "few": len(few.names),
        "lines": min(chemical_space.LINES, int(drawn.measured.sum())),
        "maps": [
            (title, space_figures.material_map(drawn, places, labels, prop=prop), caption)
            for title, places, labels, caption in (
                ("Principal components", components.scores[:, :2],
                 (f"First component ({first})", f"Second component ({second})"), MAPS["pca"]),
                ("t-SNE", embeddings.tsne(drawn.points), ("First coordinate", "Second coordinate"), MAPS["tsne"]),
                ("Diffusion map", walk.scores,
                 (f"First coordinate (eigenvalue {slow:.2f})", f"Second coordinate (eigenvalue {less:.2f})"),
                 MAPS["diffusion"]),
            )
        ],
        "parallel": space_figures.parallel_axes(
            chemical_space.some_measured(drawn, chemical_space.LINES), axes, prop=prop
        ),
        "clusters": space_figures.cluster_heat_map(few, columns, rows_tree, columns_tree, prop=prop),
    }  # fmt: skip
