"""All metrics of one part of the cells, what they share computed once."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics
from bie.data.components import log_normalised, principal_components
from bie.metrics import neighbourhoods, regression, scib, transport
from bie.metrics.batch_silhouette import batch_widths
from bie.metrics.cards import METRICS
from bie.metrics.clustering import kmeans
from bie.metrics.disentanglement import Forests, grow
from bie.metrics.metric import Codes, Embedding, call_by_name
from bie.metrics.mixing import draw_pools
from bie.metrics.neighbours import Neighbours, nearest
from bie.metrics.probes import Probabilities, f1_by_batch, judged, probe
from bie.metrics.silhouette import Widths, widths_of
from bie.seeds import Streams

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


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
    x_ng
        Counts of the cells, before any correction; None where there are none.
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
    x_ng: "csr_matrix | None" = None
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
    def neighbours(self) -> Neighbours:
        """Nearest neighbours of every cell, as many as the metric that wants most."""
        most = max(self.settings.be.neighbours, neighbourhoods.LISI_NEIGHBOURS)
        return nearest(self.z_nd, min(most, len(self.z_nd) - 1), self.neighbour_seed)

    @property
    def neighbour_nk(self) -> Codes:
        """Rows of these neighbours, nearest first."""
        return self.neighbours.index_nk

    @property
    def neighbour_seed(self) -> int:
        """Of searches where they are approximate."""
        return self.streams.integer("neighbours") >> 1  # a signed number there

    @property
    def entropy_neighbour_nk(self) -> Codes:
        """Neighbours whose batches are counted by `be`."""
        return self.neighbour_nk[:, : self.n_neighbours]

    @cached_property
    def lisi_weight_nk(self) -> NDArray[np.float64]:
        """Weights of the neighbours in `ilisi` and `clisi`."""
        return neighbourhoods.perplexity_weights(
            self.neighbours.distance_nk[:, : neighbourhoods.LISI_NEIGHBOURS]
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
        return self.x_ng is not None

    @cached_property
    def uncorrected(self) -> tuple[Embedding, Codes]:
        """Principal components of the log-normalised counts and batches, of all cells or of a sample."""
        assert self.x_ng is not None
        rng = self.streams.numpy("components")
        row_m = np.arange(len(self.z_nd))
        if len(row_m) > regression.SAMPLE:
            row_m = np.sort(rng.choice(len(row_m), regression.SAMPLE, replace=False))
        y_mg = log_normalised(self.x_ng[row_m])
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
        """Clusters of the cells."""
        seed = self.streams.integer("kmeans")
        return kmeans(self.z_nd, self.n_clusters, self.settings.kmeans.n_init, seed)

    @property
    def nmi_average(self) -> str:
        """By which mean of the entropies `nmi` is normalised."""
        return "arithmetic" if self.settings.names == "scib" else "geometric"

    @cached_property
    def counted_m(self) -> Codes:
        """Rows over which batch entropy is averaged: all cells, unless pools are asked for."""
        n_cells, n_pools = len(self.z_nd), self.settings.be.pools
        if n_pools is None:
            return np.arange(n_cells)
        return draw_pools(n_cells, n_pools, self.streams.numpy("pools"))

    @cached_property
    def judged_n(self) -> NDArray[np.bool_]:
        """Cells that probes can judge."""
        return judged(self.batch_n, self.fitted_batch_n)

    @property
    def judged_batch_n(self) -> Codes:
        """Their batches."""
        return self.batch_n[self.judged_n]

    @cached_property
    def probe_pnb(self) -> Probabilities:
        """What probes say about the batch of every cell that they can judge."""
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


class Scores(NamedTuple):
    """What is found of a part of the cells.

    Attributes
    ----------
    values
        Every metric; None where it cannot be computed.
    missing
        Why not, for each of these.
    notes
        What a reader of a value has to know, by metric.
    f1_by_batch
        F1 of the probe for each batch (its code); none where `probe_f1` is missing.
    ot_by_label
        OT ratio of each cell type (its code) that was compared; none where `ot_ratio` is missing.
    """

    values: dict[str, float | None]
    missing: dict[str, str]
    notes: dict[str, str]
    f1_by_batch: dict[int, float]
    ot_by_label: dict[int, float]


def score(
    z_nd: NDArray[np.floating],
    batch_n: Codes,
    n_batches: int,
    label_n: Codes | None,
    n_labels: int,
    settings: Metrics,
    streams: Streams,
    fitted: tuple[NDArray[np.floating], Codes] | None = None,
    x_ng: "csr_matrix | None" = None,
    factor_nf: NDArray[np.float64] | None = None,
    predicted_n: Codes | None = None,
) -> Scores:
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
    x_ng
        Counts of the cells; None: what compares with them is missing.
    factor_nf
        Generative factors of the cells, where they are known.
    predicted_n
        Labels that the model predicts, where it predicts any.
    """
    from threadpoolctl import threadpool_limits

    fitted_z_nd, fitted_batch_n = fitted or (None, None)
    fitted_nd = None if fitted_z_nd is None else np.asarray(fitted_z_nd, np.float64)
    of_cells = np.asarray(z_nd, np.float64), batch_n, n_batches, label_n, n_labels
    part = Part(*of_cells, settings, streams, fitted_nd, fitted_batch_n, x_ng, factor_nf, predicted_n)
    found = Scores({}, {}, {}, {}, {})
    with threadpool_limits(1):  # sums in another order would change the last digits
        for name in METRICS:
            _enter(found, name, part)
        if found.values["probe_f1"] is not None:
            batches, f1_b = f1_by_batch(part.probe_pnb, part.judged_batch_n)
            found.f1_by_batch.update(zip(batches.tolist(), f1_b.tolist(), strict=True))
        if found.values["ot_ratio"] is not None:
            found.ot_by_label.update(part.transport_ratios.by_label)
        if settings.names == "scib":
            scib.enter(found.values, found.missing)
    return found


def _enter(found: Scores, name: str, part: Part) -> None:
    """Compute a metric, or say why not."""
    metric = METRICS[name]
    reason = next(filter(None, (call_by_name(need, part) for need in metric.needs)), None)
    value = None if reason else call_by_name(metric, part)
    if value is not None and not math.isfinite(value):
        value, reason = None, f"its value is {value}"
    found.values[name] = value
    if reason:
        found.missing[name] = reason
        return
    caveats = [caveat for caveat in (call_by_name(caveat, part) for caveat in metric.caveats) if caveat]
    if caveats:
        found.notes[name] = "; ".join(caveats)
