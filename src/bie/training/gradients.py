"""Gradients of a step: of model's loss and penalty in sum, or of both, weighed by a preference."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bie.penalties.preference import Preference
from bie.training.learner import Learner

SHARED = "encoder."
"""How parameters are named that both losses reach; all others have the gradient of the model's loss alone."""

Told = Sequence[tuple[Tensor, Tensor]]
"""Latent vectors, attached to the model, each with the gradient of the penalty by them; empty without any."""


def summed(learner: Learner, loss: Tensor, told: Told) -> Sequence[Tensor]:
    """Gradients by the learner's leaves of the model's loss, ``(...)``, and what penalties add to it."""
    roots, by_roots = [loss.sum(), *(nd for nd, _ in told)], [None, *(by_nd for _, by_nd in told)]
    return torch.autograd.grad(roots, learner.leaves, by_roots, materialize_grads=True)


def balanced(
    learner: Learner, preference: Preference, loss: Tensor, penalty: Tensor, told: Told
) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
    """Gradients by the learner's leaves, weighed in the encoder, and what weighed them.

    Parameters
    ----------
    learner, preference
        The model, and the preference of its penalty.
    loss, penalty
        Of the model, attached to it, and of the penalty, detached: ``(...)``.
    told
        See `Told`.

    Returns
    -------
    gradients : Sequence[Tensor]
        Of the other parameters, that of the model's loss alone.
    facts : dict[str, Tensor]
        For the history, see `bie.penalties.preference.Weights`: ``removal_share`` and ``angle``, ``(...)``.
    """
    one = torch.autograd.grad(loss.sum(), learner.leaves, retain_graph=True, materialize_grads=True)
    other: Sequence[Tensor] = [torch.zeros_like(gradient) for gradient in one]
    if told:
        roots, by_roots = zip(*told, strict=True)
        other = torch.autograd.grad(roots, learner.leaves, by_roots, materialize_grads=True)
    shared, axes = learner.within(SHARED), len(learner.shape)
    pairs = ((one, one), (one, other), (other, other))
    products = torch.stack([_inner(a, b, shared, axes) for a, b in pairs], -1)
    weights = preference.weights(torch.stack([loss.detach(), penalty], -1), products)
    less, more = weights.fit - 1, weights.removal
    gradients = [
        a + mark * (_times(less, a) + _times(more, b)) for a, b, mark in zip(one, other, shared, strict=True)
    ]
    return gradients, {"removal_share": weights.share, "angle": weights.angle}


def _inner(one: Sequence[Tensor], other: Sequence[Tensor], shared: Sequence[Tensor], axes: int) -> Tensor:
    """Inner product of the shared parts, ``(...)``."""
    parts = ((mark * a * b).flatten(axes).sum(-1) for a, b, mark in zip(one, other, shared, strict=True))
    return torch.stack(list(parts)).sum(0)


def _times(factor: Tensor, gradient: Tensor) -> Tensor:
    """A gradient times a factor of each run, ``()`` or ``(r,)``."""
    return factor.unsqueeze(-1) * gradient if factor.ndim else factor * gradient
