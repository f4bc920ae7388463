"""Many descriptors in a few coordinates, and materials in an order: pure functions of a matrix.

Not here: which materials and descriptors are looked at (`queries`, `views`), and how it is drawn (`space_figures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 5.0  # standard deviations: one descriptor alone must not make a picture
FEWEST = 5  # materials below which a map shows nothing
STEPS = 500  # of t-SNE; half of the usual, and the picture has settled


@dataclass(frozen=True, slots=True)
class Components:
    """Principal components: (n, k) scores, and the (k,) share of the variance that each holds."""

    scores: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tree:
    """A hierarchical clustering, as it is drawn.

    Attributes:
        order: (n,) the rows from one end to the other.
        across: (n - 1, 4) for each merger the corners' places, in rows of `order`, counted from 0.
        along: (n - 1, 4) for each merger the corners' distances.
    """

    order: NDArray[np.intp]
    across: NDArray[np.float64]
    along: NDArray[np.float64]


def standardise(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centre (n, d) descriptors and divide by their spread; undefined ones become 0, constant columns are left out.

    Returns:
        (n, e) points; (d,) which of the columns they are.
    """
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, features, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, features - centre, 0.0) ** 2).sum(axis=0) / count)
    varies = spread > 1e-12 * (1 + np.abs(centre))
    points: NDArray[np.float64] = np.nan_to_num((features - centre)[:, varies] / spread[varies]).clip(-CLIP, CLIP)
    return points, varies


def principal_components(points: NDArray[np.float64], k: int) -> Components:
    """The first k principal components of (n, d) points, or as many as there are."""
    from sklearn.decomposition import PCA  # deferred: 1 s

    fitted = PCA(min(k, *points.shape), svd_solver="full").fit(points)
    return Components(fitted.transform(points), fitted.explained_variance_ratio_)


def tsne(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two coordinates (n, 2) in which near points stay near (van der Maaten & Hinton 2008); the same each time.

    It sees the first 30 principal components and starts from the first two.
    """
    from sklearn.manifold import TSNE  # deferred: 1 s
    from threadpoolctl import threadpool_limits

    reduced = principal_components(points, 30).scores
    with threadpool_limits(1):  # the number of threads would change the last digits, and with them the picture
        placed: NDArray[np.float64] = TSNE(
            2, perplexity=min(30, (len(points) - 1) / 3), init="pca", max_iter=STEPS, random_state=0
        ).fit_transform(reduced)
    return placed


def diffusion_map(points: NDArray[np.float64], k: int, *, width: float | None = None) -> Components:
    """The first k diffusion coordinates of (n, d) points (Coifman & Lafon 2006, doi:10.1016/j.acha.2006.04.006).

    A walker steps between points with odds exp(-distance² / width), made independent of how densely the points lie
    (alpha = 1). The coordinates are the slowest of its modes, scaled by how much of each is left after one step.

    Args:
        points: (n, d).
        k: How many coordinates, at most n - 1.
        width: Squared distance of a step; by default the median of all; with much less, the few points that lie
            apart take all the coordinates.

    Returns:
        (n, k) coordinates, slowest first, the larger half of each positive; (k,) the eigenvalues.
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
    """Cluster (n, d) points, n at least 2, by Ward's method, like beside like."""
    from scipy.cluster.hierarchy import dendrogram, linkage  # deferred: 0.3 s

    drawn = dendrogram(linkage(points, "ward", optimal_ordering=True), no_plot=True)
    # scipy puts the leaves at 5, 15, 25 …
    return Tree(np.array(drawn["leaves"]), (np.array(drawn["icoord"]) - 5) / 10, np.array(drawn["dcoord"]))
