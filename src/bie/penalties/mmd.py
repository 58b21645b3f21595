"""MMD: penalises the distance between the distributions of the latent vectors in different batches.

The maximum mean discrepancy of two distributions under a kernel k (Gretton et al. 2012, JMLR 13:723),

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y),

is 0 for a gaussian kernel where the two are equal, and nowhere else. There is no critic to train.
"""

from itertools import combinations, pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bie.config.penalties import PenaltySection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.mutual_information.pairs import batch_sizes
from bie.penalties.base import Penalty
from bie.seeds import Streams

Pairs = list[tuple[int, int]]

WIDTHS = {"median": (1.0,), "multi": (0.25, 0.5, 1.0, 2.0, 4.0)}
"""Bandwidths of the kernels, in median distances."""


BY_DIFFERENCES = "donot_use_mm_for_euclid_dist"
"""Not by ``|x|² + |y|² - 2xy``, whose rounding leaves equal rows apart."""


@section
class Mmd(PenaltySection):
    """Section ``mmd``."""

    free = ("scale",)

    estimator: Literal["normal", "fast"]
    bandwidth: Literal["unit", "median", "multi"]
    pairs: Literal["consecutive", "all"]

    @property
    def packs(self) -> bool:
        """Not in linear time, where the cells of each batch are counted before shapes are known."""
        return self.estimator != "fast"


class MmdPenalty(Penalty):
    """``scale * sum of MMD²`` over pairs of the batches present in the minibatch.

    Pairs are those of neighbours in the order of the batch codes (``pairs=consecutive``) or all
    (``pairs=all``); either sum is 0 only where all batches are distributed alike. A minibatch of one batch
    has none.

    Parameters
    ----------
    settings
        Section ``mmd`` of the configuration.
    n_batches
        Batches.
    """

    def __init__(self, settings: Mmd, n_batches: int) -> None:
        super().__init__()
        self.scale, self.bandwidth, self.n_batches = settings.scale, settings.bandwidth, n_batches
        self.fast, self.pairs = settings.estimator == "fast", settings.pairs

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the sum of MMD², which is dimensionless.

        The history gets the sum itself as ``mmd``, and divided by the cells of the minibatch as
        ``mmd_per_cell``: the mean over cells of the latter is the sum over the minibatches of an epoch
        divided by its cells, which is how the scvi-tools branch ``valeh/scvi_mmd`` reports its penalty.
        """
        if self.fast:
            mmd = linear_statistics(z_nd, batch_n, self._pairs(batch_n), self.bandwidth).sum()
        else:
            mmd_bb = v_statistics(z_nd, batch_n, self.n_batches, self.bandwidth)
            mmd = torch.where(self._is_pair(batch_n), mmd_bb, 0).sum((-2, -1))
        return self.current_scale() * mmd, self.terms(mmd.detach(), z_nd)

    def terms(self, mmd: Tensor, z_nd: Tensor) -> dict[str, Tensor]:
        """What the history gets, from the sum of MMD²."""
        return {"mmd": mmd, "mmd_per_cell": mmd / z_nd.shape[-2]}

    def _pairs(self, batch_n: Tensor) -> Pairs:
        present = batch_n.bincount().nonzero().flatten().tolist()
        return list(pairwise(present) if self.pairs == "consecutive" else combinations(present, 2))

    def _is_pair(self, batch_n: Tensor) -> Tensor:
        """`_pairs` as a mask ``(..., b, b)``, whose shape does not depend on what is in the minibatch."""
        present_b = batch_sizes(batch_n, self.n_batches) > 0
        rank_b = present_b.cumsum(-1)
        ahead_bb = rank_b.unsqueeze(-2) - rank_b.unsqueeze(-1)
        both_bb = present_b.unsqueeze(-2) & present_b.unsqueeze(-1)
        return both_bb & (ahead_bb == 1 if self.pairs == "consecutive" else ahead_bb >= 1)


def v_statistics(z_nd: Tensor, batch_n: Tensor, n_batches: int, bandwidth: str) -> Tensor:
    """MMD² of pairs of batches over all pairs of cells, each cell with itself included.

    The square of the biased statistic of Gretton et al. 2012, equation 5: never negative, about
    ``(1/n_1 + 1/n_2)(1 - E k)`` where nothing differs. Where minibatches hold few cells of a batch, that is
    most of it, and an encoder under a high scale works at the bias; larger minibatches or a lower scale help.

    Parameters
    ----------
    z_nd
        Latent vectors, ``(..., n, d)``.
    batch_n
        Batch codes, ``(..., n)``.
    n_batches
        Number of codes, b.
    bandwidth
        See `rates`; the median is that of the distances between all cells, of whatever batch.

    Returns
    -------
    Tensor
        ``(..., b, b)``, one number for each pair; without meaning where a batch has no cells.
    """
    kernel_nn = kernel_matrix(z_nd, bandwidth)
    batch_nb = one_hot(batch_n, n_batches).to(z_nd.dtype)
    share_nb = batch_nb / batch_nb.sum(-2, keepdim=True).clamp_min(1)  # a code without cells stays 0
    mean_bb = share_nb.mT @ kernel_nn @ share_nb
    own_b = mean_bb.diagonal(dim1=-2, dim2=-1)
    return own_b.unsqueeze(-2) + own_b.unsqueeze(-1) - 2 * mean_bb


def kernel_matrix(z_nd: Tensor, bandwidth: str) -> Tensor:
    """Kernel of each cell with each, ``(..., n, n)``; the median of `rates` is over pairs of two cells."""
    n = z_nd.shape[-2]
    square_nn = torch.cdist(z_nd, z_nd, compute_mode=BY_DIFFERENCES).square()
    above, below = torch.triu_indices(n, n, offset=1, device=z_nd.device)
    return gaussian(square_nn, rates(bandwidth, square_nn[..., above, below]))


def linear_statistics(z_nd: Tensor, batch_n: Tensor, pairs: Pairs, bandwidth: str) -> Tensor:
    """MMD² of pairs of batches in a time linear in the cells.

    Gretton et al. 2012, Lemma 14: both batches are cut to the same even number of cells, the first half
    meets the second, ``mean of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)``. Unbiased, so that it
    can be negative. A pair in which one batch has a single cell says nothing and counts 0.

    Parameters
    ----------
    z_nd, batch_n
        Latent vectors ``(n, d)`` and batch codes ``(n,)``.
    pairs
        Pairs of codes that occur.
    bandwidth
        See `rates`; the median is that of the distances between the cells of the first half of the
        minibatch and those of the second.

    Returns
    -------
    Tensor
        One number for each pair, ``(p,)``.
    """
    half = len(z_nd) // 2
    rate_w = rates(bandwidth, square_distance(z_nd[:half], z_nd[half : 2 * half]))
    values = [_lemma_14(z_nd[batch_n == a], z_nd[batch_n == b], rate_w) for a, b in pairs]
    return torch.stack(values) if values else z_nd[:0, 0]


def _lemma_14(x_nd: Tensor, y_nd: Tensor, rate_w: Tensor) -> Tensor:
    half = min(len(x_nd), len(y_nd)) // 2
    (x_i, x_j), (y_i, y_j) = ((rows[:half], rows[half : 2 * half]) for rows in (x_nd, y_nd))
    left, right = torch.stack((x_i, y_i, x_i, x_j)), torch.stack((x_j, y_j, y_j, y_i))
    same_x, same_y, cross, cross_back = gaussian(square_distance(left, right), rate_w)
    square_mmd: Tensor = (same_x + same_y - cross - cross_back).sum() / max(half, 1)
    return square_mmd


def square_distance(x_nd: Tensor, y_nd: Tensor) -> Tensor:
    """Squared Euclidean distance of rows that face each other, ``(...)`` for two ``(..., d)``."""
    return (x_nd - y_nd).square().sum(-1)


def rates(bandwidth: str, square: Tensor) -> Tensor:
    """Rates of decay of the kernels, ``1 / (2 sigma²)`` for bandwidth sigma.

    Parameters
    ----------
    bandwidth
        ``median``: sigma is the median distance (Gretton et al. 2012, section 8). ``multi``: five kernels,
        from a quarter of it to four times it, since batches can differ in details as well as in the large.
        ``unit``: rate 1, whatever the distances.
    square
        Squared distances ``(..., m)`` that the median is taken of; none where there is a single cell. No
        gradient flows into it: the encoder is to move the cells, not the yardstick.

    Returns
    -------
    Tensor
        ``(..., w)``, one rate for each kernel.
    """
    if bandwidth == "unit" or not square.shape[-1]:
        return square.new_ones(*square.shape[:-1], 1)
    median = square.detach().median(-1, keepdim=True).values.clamp_min(torch.finfo(square.dtype).eps)
    return torch.cat([1 / (2 * median * width**2) for width in WIDTHS[bandwidth]], -1)


def gaussian(square: Tensor, rate_w: Tensor) -> Tensor:
    """Mean of gaussian kernels ``exp(-rate * square)`` over the rates ``(..., w)``, 0 to 1."""
    further = [1] * (square.ndim - rate_w.ndim + 1)
    rates = (rate.view(*rate.shape, *further) for rate in rate_w.unbind(-1))
    return torch.stack([(-rate * square).exp() for rate in rates]).mean(0)


def build(settings: Mmd, n_latent: int, n_batches: int, streams: Streams) -> MmdPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return MmdPenalty(settings, n_batches)
