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
from bie.metrics.probes import Probabilities, probe
from bie.seeds import Streams


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
    streams
        Of the run; ``kmeans``, ``pools``, ``probes`` and ``probe latents`` are read here.
    fitted_z_nd, fitted_batch_n
        Cells on which probes are fitted; None: these cells themselves, see `bie.metrics.probes.probe`.
    """

    z_nd: Embedding
    batch_n: Codes
    n_batches: int
    label_n: Codes | None
    n_labels: int
    settings: Metrics
    streams: Streams
    fitted_z_nd: Embedding | None
    fitted_batch_n: Codes | None

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
        seed = self.streams.integer("kmeans")
        return kmeans(self.z_nd, self.n_labels, self.settings.kmeans.n_init, seed)

    @cached_property
    def counted_m(self) -> Codes:
        """Rows over which batch entropy is averaged: all cells, unless pools are asked for."""
        n_cells, n_pools = len(self.z_nd), self.settings.be.pools
        if n_pools is None:
            return np.arange(n_cells)
        return draw_pools(n_cells, n_pools, self.streams.numpy("pools"))

    @cached_property
    def probe_pnb(self) -> Probabilities:
        """What probes say about the batch of every cell."""
        return self._probe(self.z_nd, self.fitted_z_nd)

    @cached_property
    def probe_of_noise_pnb(self) -> Probabilities:
        """The same with noise in the place of the latent vectors."""
        rng = self.streams.numpy("probe latents")
        known = self.fitted_z_nd
        fitted_nd = None if known is None else rng.standard_normal(known.shape)
        return self._probe(rng.standard_normal(self.z_nd.shape), fitted_nd)

    def _probe(self, z_nd: Embedding, fitted_nd: Embedding | None) -> Probabilities:
        known = self.fitted_batch_n
        fitted = None if fitted_nd is None or known is None else (fitted_nd, known)
        return probe(z_nd, self.batch_n, self.n_batches, fitted, self.streams.integer("probes"))


def score(
    z_nd: NDArray[np.floating],
    batch_n: Codes,
    n_batches: int,
    label_n: Codes | None,
    n_labels: int,
    settings: Metrics,
    streams: Streams,
    fitted: tuple[NDArray[np.floating], Codes] | None = None,
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
    streams
        Of the run.
    fitted
        Latent vectors and batch codes of the cells on which probes are fitted: the training cells where test
        cells are scored; None: the part itself, in halves.

    Returns
    -------
    values : dict[str, float | None]
        Every metric; None where it cannot be computed.
    missing : dict[str, str]
        Why not, for each of these.
    """
    from threadpoolctl import threadpool_limits

    fitted_z_nd, fitted_batch_n = fitted or (None, None)
    part = Part(
        z_nd=np.asarray(z_nd, np.float64),
        batch_n=batch_n,
        n_batches=n_batches,
        label_n=label_n,
        n_labels=n_labels,
        settings=settings,
        streams=streams,
        fitted_z_nd=None if fitted_z_nd is None else np.asarray(fitted_z_nd, np.float64),
        fitted_batch_n=fitted_batch_n,
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
