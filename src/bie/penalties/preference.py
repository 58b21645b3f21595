"""A preference between fit and removal in place of a scale: Pareto multi-task learning.

Lin et al. 2019 (Pareto multi-task learning, NeurIPS), as Li et al. 2022 (BMC Bioinformatics 23:460,
doi:10.1186/s12859-022-05003-3) train scVI with MINE or MMD. A run has two losses L, the model's (negative
ELBO) and the penalty's, and a preference says where between them it is to end. Each is put between its
extremes, F = (L - lowest) / (highest - lowest), so that no unit counts, and the place of a run is the angle

    2/pi arctan2(F of the model, F of the penalty),   0: all is fit, 1: all is removal.

Preference vectors cut the quarter circle into sectors; a run is to end on the Pareto front in the one around
its preference. Within it the encoder follows the shortest vector between the gradients of both F
(`min_norm_share`),
which lowers both until neither can fall without the other rising (Désidéri 2012, CRAS 350:313; Sener &
Koltun 2018, NeurIPS). Outside of it the loss that is too large is lowered alone.

Not as there: the extremes are those of the run's own first epochs (`PRETRAINED`), in which the model's loss
is minimised alone and the critic learns, not of two trainings before it; the place is that of moving
averages, as one minibatch says little of it; the gradients are those of the encoder, as the decoder has the
model's loss alone; and a run goes back to its sector at any time, not at the beginning alone, and never by
raising a loss.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

PRETRAINED = 0.5
"""Share of the epochs in which the model's loss is minimised alone, while the critic learns."""

HALF_SECTOR = 1 / 18
"""Half the width of a sector, the quarter circle being 1: ten vectors at equal distances (Li et al. 2022)."""

RATE = 0.05
"""Of the moving averages of the losses, for each minibatch."""


class Weights(NamedTuple):
    """Weights of the two gradients, of each run, ``(...)``.

    Attributes
    ----------
    fit, removal
        Factors of the model's gradient and of the penalty's. Their sum is a step in F, in the unit of the
        model's loss, so that it is as long as one of that loss alone.
    share
        Of the penalty in that step, in terms of F, 0 to 1.
    angle
        Place of the run between fit, 0, and removal, 1.
    """

    fit: Tensor
    removal: Tensor
    share: Tensor
    angle: Tensor


class Preference(nn.Module):
    """Weights of the two gradients in a step of the encoder; of one run, or with an axis of runs of many.

    Losses are ``(..., 2)``: the model's, the penalty's. No shape and no branch depends on their values.

    Parameters
    ----------
    value
        Above 0, fit alone, and below 1, removal alone.

    Attributes
    ----------
    stage
        0 or 1 while it does not act, 1 in the last epoch of that; 2 when it acts. Like all numbers here a
        tensor, since recorded steps see no others change.
    lowest, highest
        Extremes of both losses, ``(..., 2)``.
    average
        Moving averages of both losses, ``(..., 2)``; NaN before the first minibatch.
    """

    value: Tensor
    stage: Tensor
    lowest: Tensor
    highest: Tensor
    average: Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value), persistent=False)
        self.register_buffer("stage", torch.zeros(()), persistent=False)
        self.register_buffer("lowest", torch.full((2,), math.inf))
        self.register_buffer("highest", torch.full((2,), -math.inf))
        self.register_buffer("average", torch.full((2,), math.nan))

    def begin(self, epoch: int, epochs: int) -> None:
        """Say which epoch it is, counted from 0, of how many: the first in which it acts ends the extremes.

        Those of the penalty are of all epochs before, as a critic that has learned nothing yet sees what
        there is to see at independence; those of the model of the last one before, when its loss falls no
        longer fast.
        """
        first = first_epoch(epochs)
        self.stage.fill_(2.0 if epoch >= first else float(epoch == first - 1))

    @torch.no_grad()
    def weights(self, losses: Tensor, products: Tensor) -> Weights:
        """Factors of the two gradients in the encoder's step, from what a minibatch gave.

        Parameters
        ----------
        losses
            Of the model and of the penalty, ``(..., 2)``.
        products
            Inner products of the gradients w.r.t. the encoder's parameters, ``(..., 3)``: the model's with
            itself, with the penalty's, the penalty's with itself.

        Returns
        -------
        Weights
            Fit 1, removal 0 before `first_epoch`.
        """
        self._update_extremes(losses)
        span = (self.highest - self.lowest).clamp_min(torch.finfo(losses.dtype).tiny)
        unit = span[..., 0] / span[..., 1]
        place = angle((self.average - self.lowest) / span)
        # Gradients of F, both in the unit of the model's loss.
        uu, uv, vv = products[..., 0], products[..., 1] * unit, products[..., 2] * unit.square()
        share = min_norm_share(uu, uv, vv)
        share = torch.where(place > self.value + HALF_SECTOR, 0, share)
        share = torch.where(place < self.value - HALF_SECTOR, 1, share)
        share = torch.where(self.stage > 1, share, 0)
        removal = torch.where(share > 0, share * unit, 0)
        return Weights(1 - share, removal, share, torch.where(self.stage > 1, place, 0))

    def _update_extremes(self, losses: Tensor) -> None:
        """Take losses into the extremes and averages.

        Before it acts extremes are those seen in the epochs of `begin`. When it acts, extremes follow a loss
        that falls further, as far apart as before.
        """
        pretrains, acts = torch.stack([self.stage == 1, self.stage < 2]), self.stage > 1
        lowest = torch.where(pretrains | acts, torch.minimum(self.lowest, losses), self.lowest)
        highest = torch.where(pretrains, torch.maximum(self.highest, losses), self.highest)
        self.highest.copy_(torch.where(acts, self.highest - (self.lowest - lowest), highest))
        self.lowest.copy_(lowest)
        average = torch.lerp(self.average, losses, RATE)
        self.average.copy_(torch.where(self.average.isnan(), losses, average))


def first_epoch(epochs: int) -> int:
    """First epoch, counted from 0, in which a preference acts in a training of so many."""
    return max(1, math.ceil(PRETRAINED * epochs))


def angle(place: Tensor) -> Tensor:
    """Where losses ``(..., 2)``, each as a share of its range, lie between fit (0) and removal (1)."""
    return torch.atan2(place[..., 0], place[..., 1]) * (2 / math.pi)


def min_norm_share(uu: Tensor, uv: Tensor, vv: Tensor) -> Tensor:
    """Share s of v in the shortest vector between u and v, 0 to 1: the minimum of ``|(1 - s) u + s v|``.

    The min-norm point of two tasks in closed form (Sener & Koltun 2018, equation 4).

    Parameters
    ----------
    uu, uv, vv
        Inner products of u and v, ``(...)``.
    """
    distance = (uu - 2 * uv + vv).clamp_min(torch.finfo(uu.dtype).tiny)
    return ((uu - uv) / distance).clamp(0, 1)
