"""All metrics of one part of the cells, what they share computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics
from bie.metrics.cards import METRICS
from bie.metrics.clustering import kmeans
from bie.metrics.metric import Codes, Embedding, call_by_name
from bie.metrics.mixing import draw_pools
from bie.metrics.neighbours import nearest


@dataclass(frozen=True)
class Part:
    """Embedded cells; its attributes are what a metric may name as a parameter.

    Attributes
    ----------
    z_nd
        Latent vectors, float64.
    batch_n, label_n
        Codes; `label_n` is None if the data set has no labels.
    n_batches, n_labels
        Of the whole data set, some of which may be absent here.
    settings
        Of the metrics.
    kmeans_seed, pools
        Randomness of k-means and of the sampling of cells.
    """

    z_nd: Embedding
    batch_n: Codes
    n_batches: int
    label_n: Codes | None
    n_labels: int
    settings: Metrics
    kmeans_seed: int
    pools: np.random.Generator

    @property
    def n_neighbours(self) -> int:
        """Neighbours asked for, or all other cells if there are fewer."""
        return min(self.settings.be.neighbours, len(self.z_nd) - 1)

    @cached_property
    def neighbour_nk(self) -> Codes:
        """Nearest neighbours of every cell."""
        return nearest(self.z_nd, self.n_neighbours)

    @cached_property
    def cluster_n(self) -> Codes:
        """Clusters of the cells, as many as labels."""
        return kmeans(self.z_nd, self.n_labels, self.settings.kmeans.n_init, self.kmeans_seed)

    @cached_property
    def counted_m(self) -> Codes:
        """Rows over which batch entropy is averaged: all cells, unless pools are asked for."""
        n_cells, n_pools = len(self.z_nd), self.settings.be.pools
        return np.arange(n_cells) if n_pools is None else draw_pools(n_cells, n_pools, self.pools)


def score(
    z_nd: NDArray[np.floating],
    batch_n: Codes,
    n_batches: int,
    label_n: Codes | None,
    n_labels: int,
    settings: Metrics,
    kmeans_seed: int,
    pools: np.random.Generator,
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Score one part of the cells by every metric, in float64 and on one thread.

    Parameters
    ----------
    z_nd
        Latent vectors, finite.
    batch_n, n_batches
        Batch codes and the number of batches of the data set.
    label_n, n_labels
        Label codes or None, and the number of labels of the data set.
    settings
        ``metrics`` of the configuration.
    kmeans_seed
        Seed of k-means.
    pools
        Generator of the sampled cells, drawn from only if ``metrics.be.pools`` is set.

    Returns
    -------
    values : dict[str, float | None]
        Every metric; None where it cannot be computed.
    missing : dict[str, str]
        Why not, for each of these.
    """
    from threadpoolctl import threadpool_limits

    part = Part(
        np.asarray(z_nd, np.float64), batch_n, n_batches, label_n, n_labels, settings, kmeans_seed, pools
    )
    values: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    with threadpool_limits(1):  # sums in another order would change the last digits
        for name, metric in METRICS.items():
            reasons = (call_by_name(need, part) for need in metric.needs)
            reason = next(filter(None, reasons), None)
            values[name] = None if reason else call_by_name(metric, part)
            if reason:
                missing[name] = reason
    return values, missing
