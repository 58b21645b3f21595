"""Gradients of a step: of the model's loss plus the penalty, or of both, weighted by a preference."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bie.penalties.preference import Preference
from bie.training.learner import Learner

SHARED = "encoder."
"""Prefix of the parameters that both losses reach; all others get the gradient of the model's loss alone."""

LatentGrad = tuple[Tensor, Tensor]
"""Latent vectors ``(..., n, d)``, attached to the model, and the gradient of the penalty w.r.t. them.

Gradients of the penalty stop at the latent vectors, since its critic works on detached ones; from there they
go on into the encoder as those of further outputs beside the model's loss (``grad_outputs`` of
`torch.autograd.grad`), in the same backward pass.
"""


def summed(learner: Learner, loss: Tensor, latent_grads: Sequence[LatentGrad]) -> Sequence[Tensor]:
    """Gradients w.r.t. the learner's leaves of the model's loss ``(...)`` plus the penalty."""
    outputs = [loss.sum(), *(latent_nd for latent_nd, _ in latent_grads)]
    grad_outputs = [None, *(grad_nd for _, grad_nd in latent_grads)]
    return torch.autograd.grad(outputs, learner.leaves, grad_outputs, materialize_grads=True)


def balanced(
    learner: Learner,
    preference: Preference,
    loss: Tensor,
    penalty: Tensor,
    latent_grads: Sequence[LatentGrad],
) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
    """Gradients w.r.t. the learner's leaves, weighted in the encoder, and the weights.

    Parameters
    ----------
    learner, preference
        The model, and the preference of its penalty.
    loss, penalty
        Of the model, attached to it, and of the penalty, detached: ``(...)``.
    latent_grads
        See `LatentGrad`; none while the penalty reads neither samples nor means.

    Returns
    -------
    gradients : Sequence[Tensor]
        Of the other parameters, that of the model's loss alone.
    columns : dict[str, Tensor]
        For the history, see `bie.penalties.preference.Weights`: ``removal_share`` and ``angle``, ``(...)``.
    """
    fit = torch.autograd.grad(loss.sum(), learner.leaves, retain_graph=True, materialize_grads=True)
    removal: Sequence[Tensor] = [torch.zeros_like(gradient) for gradient in fit]
    if latent_grads:
        outputs, grad_outputs = zip(*latent_grads, strict=True)
        removal = torch.autograd.grad(outputs, learner.leaves, grad_outputs, materialize_grads=True)
    masks, axes = learner.mask(SHARED), len(learner.shape)
    pairs = ((fit, fit), (fit, removal), (removal, removal))
    products = torch.stack([_inner(a, b, masks, axes) for a, b in pairs], -1)
    weights = preference.weights(torch.stack([loss.detach(), penalty], -1), products)
    # Weights act on the shared parameters alone, where the mask is 1; elsewhere the gradient stays `a`.
    less, more = weights.fit - 1, weights.removal
    gradients = [
        a + mask * (_times(less, a) + _times(more, b)) for a, b, mask in zip(fit, removal, masks, strict=True)
    ]
    return gradients, {"removal_share": weights.share, "angle": weights.angle}


def _inner(left: Sequence[Tensor], right: Sequence[Tensor], masks: Sequence[Tensor], axes: int) -> Tensor:
    """Inner product of two gradients over the masked parameters, ``(...)``; `axes` leading ones are kept."""
    parts = ((mask * a * b).flatten(axes).sum(-1) for a, b, mask in zip(left, right, masks, strict=True))
    return torch.stack(list(parts)).sum(0)


def _times(factor: Tensor, gradient: Tensor) -> Tensor:
    """A gradient times a factor of each run, ``()`` or ``(r,)``."""
    return factor.unsqueeze(-1) * gradient if factor.ndim else factor * gradient
