"""Dimensionality reduction and hierarchical clustering: pure functions of a matrix of descriptors.

Not here: which materials and descriptors (`queries`, `chemical_space`), and the figures (`figures.chemical_space`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 5.0  # standard deviations: no single descriptor may dominate a map
MIN_MATERIALS = 5  # below, a map shows nothing
TSNE_STEPS = 500  # half of the usual number; the map has settled by then


@dataclass(frozen=True, slots=True)
class Components:
    """Coordinates of an embedding: (n, k) scores, and the (k,) explained variance ratios or eigenvalues."""

    scores: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tree:
    """A hierarchical clustering, as it is drawn (a dendrogram).

    Attributes:
        order: (n,) the rows from one end to the other.
        across: (n - 1, 4) for each merger the positions of its corners, in rows of `order`, counted from 0.
        along: (n - 1, 4) for each merger the distances of its corners.
    """

    order: NDArray[np.intp]
    across: NDArray[np.float64]
    along: NDArray[np.float64]


def standardize(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Standardize (n, d) descriptors to z-scores; undefined ones become 0, constant columns are left out.

    Returns:
        (n, e) points; (d,) which of the columns they are.
    """
    defined = np.isfinite(features)
    count = np.maximum(defined.sum(axis=0), 1)
    center = np.where(defined, features, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(defined, features - center, 0.0) ** 2).sum(axis=0) / count)
    varies = spread > 1e-12 * (1 + np.abs(center))
    points: NDArray[np.float64] = np.nan_to_num((features - center)[:, varies] / spread[varies]).clip(-CLIP, CLIP)
    return points, varies


def principal_components(points: NDArray[np.float64], k: int) -> Components:
    """The first k principal components of (n, d) points, or as many as there are."""
    from sklearn.decomposition import PCA  # deferred: 1 s

    fitted = PCA(min(k, *points.shape), svd_solver="full").fit(points)
    return Components(fitted.transform(points), fitted.explained_variance_ratio_)


def tsne(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Embed (n, d) points in two coordinates by t-SNE (van der Maaten & Hinton 2008); the same each time.

    Its input are the first 30 principal components; it starts from the first two.
    """
    from sklearn.manifold import TSNE  # deferred: 1 s
    from threadpoolctl import threadpool_limits

    reduced = principal_components(points, 30).scores
    with threadpool_limits(1):  # the number of threads changes the last digits, and with them the map
        embedded: NDArray[np.float64] = TSNE(
            2, perplexity=min(30, (len(points) - 1) / 3), init="pca", max_iter=TSNE_STEPS, random_state=0
        ).fit_transform(reduced)
    return embedded


def diffusion_map(points: NDArray[np.float64], k: int, *, width: float | None = None) -> Components:
    """The first k diffusion coordinates of (n, d) points (Coifman & Lafon 2006, doi:10.1016/j.acha.2006.04.006).

    With the kernel K_ij = exp(-|x_i - x_j|² / width) and q_i = sum_j K_ij, a random walk has the transition matrix
    P = D⁻¹ W, where W_ij = K_ij / (q_i q_j) removes the density of the points (alpha = 1) and D_ii = sum_j W_ij.
    Coordinate k is lambda_k psi_k, where P psi_k = lambda_k psi_k; the constant psi_0 is left out.

    Args:
        points: (n, d).
        k: Number of coordinates, at most n - 1.
        width: Squared length scale of a step; by default the median squared distance. With much less, a few outliers
            take all the coordinates.

    Returns:
        (n, k) coordinates, slowest mode first, each with a positive sum; (k,) the eigenvalues.
    """
    from scipy.linalg import eigh  # deferred: 0.3 s
    from scipy.spatial.distance import pdist, squareform

    squared = pdist(points, "sqeuclidean")
    kernel = np.exp(-squareform(squared) / (width or np.median(squared) or 1.0))
    density = kernel.sum(axis=1)
    kernel /= np.outer(density, density)
    root = np.sqrt(kernel.sum(axis=1))
    last = len(points) - 1
    k = min(k, last)
    values, vectors = eigh(kernel / np.outer(root, root), subset_by_index=(last - k, last))
    modes = (vectors / vectors[:, -1:])[:, -2::-1]  # right eigenvectors of the walk; the constant one is left out
    modes *= np.where(modes.sum(axis=0) + 1e-9 * modes[0] < 0, -1.0, 1.0)
    values = values[-2::-1]
    return Components(modes * values, values)


def cluster(points: NDArray[np.float64]) -> Tree:
    """Cluster (n, d) points, n at least 2, by Ward's method, in the optimal order of leaves."""
    from scipy.cluster.hierarchy import dendrogram, linkage  # deferred: 0.3 s

    drawn = dendrogram(linkage(points, "ward", optimal_ordering=True), no_plot=True)
    # scipy puts the leaves at 5, 15, 25 …
    return Tree(np.array(drawn["leaves"]), (np.array(drawn["icoord"]) - 5) / 10, np.array(drawn["dcoord"]))
