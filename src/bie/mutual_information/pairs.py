"""Pairs of latent vectors and batches, those that belong together and independent ones, before a critic."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

Critic = Callable[[Tensor, Tensor], Tensor]


def batch_inputs(n_batches: int, kind: str) -> Tensor:
    """What a critic sees of each batch, ``(b, c)``: one-hot rows (``onehot``) or the code (``raw``)."""
    codes_b = torch.arange(n_batches)
    return one_hot(codes_b).float() if kind == "onehot" else codes_b.float().unsqueeze(-1)


def shuffled(z_nd: Tensor, batch_n: Tensor, input_bc: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that belong together, then as many independent ones, so that the critic runs once.

    Parameters
    ----------
    z_nd, batch_n
        Latent vectors ``(..., n, d)`` and batch codes ``(..., n)`` of a minibatch.
    input_bc
        From `batch_inputs`.
    order
        Permutation of the cells, ``(..., n)``, that takes the batches from their latent vectors.

    Returns
    -------
    z_2nd, batch_2nc : Tensor
        The two inputs of a critic.
    """
    return torch.cat((z_nd, z_nd), -2), input_bc[torch.cat((batch_n, batch_n.gather(-1, order)), -1)]


def batch_sizes(batch_n: Tensor, n_batches: int) -> Tensor:
    """Number of cells of each batch, ``(..., b)`` (int64), for codes ``(..., n)``."""
    none_b = batch_n.new_zeros(*batch_n.shape[:-1], n_batches)
    return none_b.scatter_add(-1, batch_n, torch.ones_like(batch_n))


def of_own_batch(score_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Of the numbers ``(..., n, b)`` of each cell that of its own batch, ``(..., n)``."""
    return score_nb.gather(-1, batch_n.unsqueeze(-1)).squeeze(-1)


def with_each_batch(critic: Critic, z_nd: Tensor, input_bc: Tensor) -> Tensor:
    """Scores of each cell with each batch, ``(..., n, b)``, by a critic that takes them in pairs."""
    *runs, n, _ = z_nd.shape
    each_z, each_batch = z_nd.repeat_interleave(len(input_bc), -2), input_bc.repeat(*runs, n, 1)
    return critic(each_z, each_batch).view(*runs, n, len(input_bc))


def contrasted(score_nb: Tensor, batch_n: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the cells with their own batches, and with the batches of all n cells of the minibatch.

    Among n cells there are only b batches, so that no independent pairs have to be sampled: the mean of e^T
    over the cells is that over the batches, weighted by their shares, and the mean over `shuffled` pairs on
    average over all orders. Under `infonce_bound` they give the entropy of the shares minus the
    cross-entropy of a classifier with logits ``T(z, batch) + ln share``, at most that entropy and ln n.

    Parameters
    ----------
    score_nb
        ``T(z, batch)``, ``(..., n, b)``.
    batch_n
        Batch codes, ``(..., n)``.

    Returns
    -------
    joint_n : Tensor
        Scores with the cell's own batch.
    marginal_nb : Tensor
        ``T(z, batch) + ln(b * share)``, whose `log_mean_exp` over b is that of T over the n cells.
    """
    n, b = score_nb.shape[-2:]
    log_share_1b = batch_sizes(batch_n, b).log().unsqueeze(-2) - math.log(n)
    return of_own_batch(score_nb, batch_n), score_nb + log_share_1b + math.log(b)
