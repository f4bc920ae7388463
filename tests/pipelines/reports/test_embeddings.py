"""Embeddings recover structure that is known."""

from __future__ import annotations

import numpy as np
import pytest

from matstrata.pipelines.reports.embeddings import cluster, diffusion_map, principal_components, standardize, tsne


def _unevenly(n: int) -> np.ndarray:
    """Places between 0 and 1, three times as dense at one end as at the other."""
    even = (np.arange(n) + 0.5) / n
    return np.asarray((np.sqrt(1 + 8 * even) - 1) / 2)


def test_diffusion_coordinates_of_a_line_are_cosines_however_dense_its_points() -> None:
    place = _unevenly(400)
    line = np.column_stack([place, 2 * place, np.zeros(400)])
    result = diffusion_map(line, 2, width=0.01)
    for mode in (1, 2):
        expected = np.cos(mode * np.pi * place)  # what heat on a line with closed ends decays by
        assert abs(np.corrcoef(result.scores[:, mode - 1], expected)[0, 1]) > 0.999
    # each decays as exp(-width * (mode * pi / length)² / 4)
    assert np.log(result.shares[1]) / np.log(result.shares[0]) == pytest.approx(4, rel=0.1)


def test_diffusion_coordinates_of_a_circle_are_the_circle() -> None:
    angle = 2 * np.pi * np.arange(300) / 300
    result = diffusion_map(np.column_stack([np.cos(angle), np.sin(angle)]), 2, width=0.05)
    radius = np.hypot(*(result.scores / result.shares).T)
    np.testing.assert_allclose(radius, np.sqrt(2), rtol=1e-6)
    assert result.shares[0] == pytest.approx(result.shares[1])
    turned = np.unwrap(np.arctan2(*result.scores.T))
    np.testing.assert_allclose(np.abs(np.diff(turned)), 2 * np.pi / 300, rtol=1e-6)


def test_a_diffusion_map_of_equal_points_is_a_point() -> None:
    result = diffusion_map(np.ones((6, 3)), 2)
    assert np.abs(result.scores).max() < 1e-6


def test_principal_components_keep_all_variance_and_distances() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6))
    result = principal_components(points, 10)
    assert result.shares.sum() == pytest.approx(1)
    assert (np.diff(result.shares) <= 0).all()
    assert result.scores.var(axis=0).sum() == pytest.approx(points.var(axis=0).sum())
    np.testing.assert_allclose(
        np.linalg.norm(result.scores[0] - result.scores[1]), np.linalg.norm(points[0] - points[1])
    )


def test_tsne_keeps_families_together_and_is_the_same_each_time() -> None:
    rng = np.random.default_rng(1)
    family = np.repeat([0, 1, 2], 20)
    points = 8 * np.eye(10)[family] + rng.normal(size=(60, 10))
    placed = tsne(points)
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=2) + 1e9 * np.eye(60)
    assert (family[distances.argmin(axis=1)] == family).all()
    np.testing.assert_array_equal(placed, tsne(points))


def test_clusters_lie_side_by_side() -> None:
    rng = np.random.default_rng(2)
    family = rng.permutation(np.repeat([0, 1, 2], 7))
    result = cluster(10 * family[:, None] + rng.normal(size=(21, 2)))
    assert sorted(result.order.tolist()) == list(range(21))
    assert (np.diff(family[result.order]) != 0).sum() == 2
    assert result.across.shape == result.along.shape == (20, 4)
    assert (result.along >= 0).all()


def test_standardized_descriptors_have_spread_one_and_undefined_ones_are_the_mean() -> None:
    points, varies = standardize(np.array([[1.0, 7.0, np.nan], [3.0, 7.0, 5.0], [5.0, 7.0, 9.0]]))
    assert varies.tolist() == [True, False, True]
    np.testing.assert_allclose(points[:, 0], np.array([-2, 0, 2]) / np.sqrt(8 / 3))
    np.testing.assert_allclose(points[:, 1], [0, -1, 1])
