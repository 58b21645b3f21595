"""Two coordinates for each latent vector, by t-SNE, UMAP or principal components."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bie.errors import BadInput

Map = NDArray[np.float64]

FEWEST = 30  # cells; of fewer, neighbourhoods say nothing
_SEED = 0


def project(z: NDArray[np.floating], method: str = "tsne") -> tuple[Map, str]:
    """Two coordinates of each cell, and the name of the method.

    t-SNE and UMAP start from the principal components, so that the same cells give the same picture (Kobak &
    Linderman 2021). Fewer than `FEWEST` cells are shown by their first two principal components.

    Parameters
    ----------
    z
        Latent vectors, shape (n cells, d).
    method
        A key of `METHODS`. Without openTSNE, ``tsne`` is principal components too.

    Raises
    ------
    BadInput
        UMAP is asked for and not installed.
    """
    from threadpoolctl import threadpool_limits

    centred = np.asarray(z, dtype=float) - np.mean(z, axis=0, dtype=float)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    components = np.zeros((len(z), 2))
    components[:, : size.size] = (left * size)[:, :2]
    if len(z) < FEWEST:
        return components, "PC"
    with threadpool_limits(1):  # a fork of a process with OpenMP's threads would wait for them without end
        return METHODS[method](centred, components)


def _components(_: Map, components: Map) -> tuple[Map, str]:
    return components, "PC"


def _tsne(z: Map, components: Map) -> tuple[Map, str]:
    try:
        from openTSNE import TSNE
        from openTSNE.affinity import MultiscaleMixture
        from openTSNE.nearest_neighbors import Sklearn
    except ImportError:
        return components, "PC"
    start = components / max(components[:, 0].std(), 1e-12) * 1e-4
    perplexity = min(30, (len(z) - 1) / 3)
    # exact, and handed in: else pynndescent is loaded, which compiles for half a minute the first time
    nearest = Sklearn(z, k=min(len(z) - 1, int(3 * perplexity)), metric="euclidean", random_state=_SEED)
    affinities = MultiscaleMixture(knn_index=nearest, perplexities=perplexity)
    found = TSNE(random_state=_SEED, n_jobs=1).fit(affinities=affinities, initialization=start)
    return np.asarray(found, dtype=float), "t-SNE"


def _umap(z: Map, components: Map) -> tuple[Map, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # tensorflow would be needed for another class
        try:
            from umap import UMAP
        except ImportError:
            raise BadInput("--map umap: umap-learn is not installed: pip install umap-learn") from None
    start = 10 * components / max(np.abs(components).max(), 1e-12)
    found = UMAP(n_neighbors=15, init=start, random_state=_SEED, n_jobs=1).fit_transform(z)
    return np.asarray(found, dtype=float), "UMAP"


METHODS: dict[str, Callable[[Map, Map], tuple[Map, str]]] = {
    "tsne": _tsne,
    "umap": _umap,
    "pca": _components,
}
"""From centred vectors and their first two components to coordinates and the method's name."""
