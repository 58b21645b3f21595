"""What metrics are computed from: one part of the cells, and what several metrics need of it, found once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics
from bie.data.components import log_normalised, principal_components
from bie.metrics import neighbourhoods, regression, transport
from bie.metrics.batch_silhouette import batch_widths
from bie.metrics.clustering import kmeans
from bie.metrics.disentanglement import Forests, grow
from bie.metrics.metric import Codes, Embedding
from bie.metrics.mixing import draw_pools
from bie.metrics.neighbours import SAMPLE, Neighbours, is_exact, nearest
from bie.metrics.probes import Probabilities, judged, probe
from bie.metrics.silhouette import Widths, widths_of
from bie.seeds import Streams

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CountsOf = Callable[[Codes], "csr_matrix"]


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
        Of the run; ``kmeans``, ``pools``, ``probes``, ``probe latents``, ``neighbours``, ``silhouettes``,
        ``transport``, ``components`` and ``forests`` are read here.
    fitted_z_nd, fitted_batch_n
        Cells on which probes are fitted; None: these cells themselves, see `bie.metrics.probes.probe`.
    counts_of
        Gives the counts of some of these cells, before any correction: all at once would be a copy as large
        as the data. None where there are none.
    factor_nf
        Values of the generative factors; None where they are not known.
    predicted_n
        Codes of the labels that the model predicts; None where it predicts none.
    """

    z_nd: Embedding
    batch_n: Codes
    n_batches: int
    label_n: Codes | None
    n_labels: int
    settings: Metrics
    streams: Streams
    fitted_z_nd: Embedding | None = None
    fitted_batch_n: Codes | None = None
    counts_of: CountsOf | None = None
    factor_nf: NDArray[np.float64] | None = None
    predicted_n: Codes | None = None

    @property
    def n_neighbours(self) -> int:
        """Neighbours asked for, or all other cells if there are fewer."""
        return min(self.settings.be.neighbours, len(self.z_nd) - 1)

    @property
    def n_clusters(self) -> int:
        """Clusters to look for: as many as there are types among these cells, or in the data set."""
        if self.settings.kmeans.clusters == "all" or self.label_n is None:
            return self.n_labels
        return len(np.unique(self.label_n))

    @cached_property
    def query_q(self) -> Codes:
        """Rows of the cells whose neighbours are looked at: all, or a sample of many."""
        n_cells = len(self.z_nd)
        if is_exact(n_cells):
            return np.arange(n_cells)
        return np.sort(self.streams.numpy("neighbours").choice(n_cells, SAMPLE, replace=False))

    @cached_property
    def query_label_q(self) -> Codes:
        """Labels of these."""
        assert self.label_n is not None  # a need of every metric that asks
        return self.label_n[self.query_q]

    @cached_property
    def neighbours(self) -> Neighbours:
        """Nearest neighbours of the queries among all cells, as many as the metric that wants most."""
        most = max(self.settings.be.neighbours, neighbourhoods.LISI_NEIGHBOURS)
        return nearest(self.z_nd, min(most, len(self.z_nd) - 1), self.query_q)

    @property
    def neighbour_qk(self) -> Codes:
        """Rows of the nearest neighbours of each query, nearest first."""
        return self.neighbours.index_qk

    @property
    def neighbour_seed(self) -> int:
        """Of samples of a type."""
        return self.streams.integer("neighbours")

    @property
    def entropy_neighbour_qk(self) -> Codes:
        """Neighbours whose batches are counted by `be`."""
        return self.neighbour_qk[:, : self.n_neighbours]

    @property
    def graph_qk(self) -> Codes:
        """Neighbours of the queries among themselves, as places among these."""
        if is_exact(len(self.z_nd)):
            return self.neighbour_qk
        return nearest(self.z_nd[self.query_q], neighbourhoods.GRAPH_NEIGHBOURS).index_qk

    @cached_property
    def lisi_weight_qk(self) -> NDArray[np.float64]:
        """Weights of the neighbours in `ilisi` and `clisi`."""
        return neighbourhoods.perplexity_weights(
            self.neighbours.distance_qk[:, : neighbourhoods.LISI_NEIGHBOURS]
        )

    @cached_property
    def label_widths(self) -> Widths:
        """Silhouette widths of the labels."""
        assert self.label_n is not None  # a need of every metric that asks
        return widths_of(self.z_nd, self.label_n, self.streams.integer("silhouettes"))

    @cached_property
    def batch_width_t(self) -> list[Widths]:
        """See `batch_widths`."""
        assert self.label_n is not None
        return batch_widths(self.z_nd, self.batch_n, self.label_n, self.streams.integer("silhouettes"))

    @cached_property
    def transport_ratios(self) -> transport.Ratios:
        """See `bie.metrics.transport.ratios`."""
        assert self.label_n is not None  # a need of every metric that asks
        seed = self.streams.integer("transport")
        return transport.ratios(self.z_nd, self.batch_n, self.label_n, seed)

    @property
    def has_counts(self) -> bool:
        """Whether there is something uncorrected to compare with."""
        return self.counts_of is not None

    @cached_property
    def uncorrected(self) -> tuple[Embedding, Codes]:
        """Principal components of the log-normalised counts and batches, of all cells or of a sample."""
        assert self.counts_of is not None
        rng = self.streams.numpy("components")
        row_m = np.arange(len(self.z_nd))
        if len(row_m) > regression.SAMPLE:
            row_m = np.sort(rng.choice(len(row_m), regression.SAMPLE, replace=False))
        y_mg = log_normalised(self.counts_of(row_m))
        n_components = min(regression.COMPONENTS, min(y_mg.shape) - 1)
        fitted = principal_components(y_mg, n_components, self.streams.integer("components"))
        return fitted.transform(y_mg), self.batch_n[row_m]

    @cached_property
    def factor_forests(self) -> Forests:
        """See `bie.metrics.disentanglement.grow`."""
        assert self.factor_nf is not None  # a need of every metric that asks
        return grow(self.z_nd, self.factor_nf, self.streams.integer("forests") >> 1)

    @cached_property
    def cluster_n(self) -> Codes:
        """Cluster of each cell, by k-means."""
        seed = self.streams.integer("kmeans")
        return kmeans(self.z_nd, self.n_clusters, self.settings.kmeans.n_init, seed)

    @property
    def nmi_average(self) -> str:
        """By which mean of the entropies `nmi` is normalised."""
        return "arithmetic" if self.settings.names == "scib" else "geometric"

    @cached_property
    def counted_m(self) -> Codes:
        """Queries over which batch entropy is averaged: all, unless pools are asked for."""
        n_queries, n_pools = len(self.query_q), self.settings.be.pools
        if n_pools is None:
            return np.arange(n_queries)
        return draw_pools(n_queries, n_pools, self.streams.numpy("pools"))

    @cached_property
    def judged_n(self) -> NDArray[np.bool_]:
        """Mask of the cells that probes can judge; see `bie.metrics.probes.judged`."""
        return judged(self.batch_n, self.fitted_batch_n)

    @property
    def judged_batch_n(self) -> Codes:
        """Batches of the cells that probes can judge."""
        return self.batch_n[self.judged_n]

    @cached_property
    def probe_pnb(self) -> Probabilities:
        """Predictions of the batch of every cell that probes can judge; see `bie.metrics.probes.probe`."""
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
        cells = z_nd[self.judged_n], self.judged_batch_n
        return probe(*cells, self.n_batches, fitted, self.streams.integer("probes"))
