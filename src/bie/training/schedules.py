"""How much the KL divergence of z counts, epoch by epoch; the same for every model."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bie.config import Kl


class KlSchedule:
    """Coefficients of the KL term of a run's loss.

    ====================  ============================================================================
    ``mode``              term, for the mean KL of a minibatch and epochs counted from 0
    ====================  ============================================================================
    ``warmup``            ``weight * ramp * KL``, ``ramp = min(1, epoch / warmup_epochs)`` (Lopez et al. 2018)
    ``beta``              ``weight * KL`` (Higgins et al. 2017)
    ``capacity``          ``gamma * |KL - ramp * capacity|``, capacity in nats (Burgess et al. 2018)
    ====================  ============================================================================

    Parameters
    ----------
    settings
        Section ``train.kl`` of the configuration.
    """

    def __init__(self, settings: Kl) -> None:
        self.settings = settings

    def weight(self, epoch: int) -> float:
        """Factor of the KL, or of its distance to the capacity, in the epoch counted from 0."""
        factors = {
            "warmup": self.settings.weight * self._ramp(epoch),
            "beta": self.settings.weight,
            "capacity": self.settings.gamma,
        }
        return factors[self.settings.mode]

    def capacity(self, epoch: int) -> float | None:
        """Capacity in the epoch counted from 0, nats; None where the KL itself counts."""
        return self._ramp(epoch) * self.settings.capacity if self.settings.mode == "capacity" else None

    def slope(self, kl: float, epoch: int) -> float:
        """Derivative of the term by the mean KL of the cells, where that is `kl`, nats."""
        capacity = self.capacity(epoch)
        below = capacity is not None and kl < capacity
        return -self.weight(epoch) if below else self.weight(epoch)

    def _ramp(self, epoch: int) -> float:
        warmup_epochs = self.settings.warmup_epochs
        return min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0


class KlTerm:
    """The KL terms of one or several runs, whatever the mode of each, by numbers in memory that stays.

    Parameters
    ----------
    schedules
        One of each run.
    shape
        Of a number for each run: ``(r,)``, or ``()`` of one alone.
    like
        A tensor of the model: its type and its device.
    """

    def __init__(self, schedules: Sequence[KlSchedule], shape: tuple[int, ...], like: Tensor) -> None:
        self._schedules = schedules
        limited = [schedule.capacity(0) is not None for schedule in schedules]
        self._has_capacity = torch.tensor(limited).view(shape).to(like.device)
        self._weight: Tensor
        self._capacity: Tensor
        self._weight, self._capacity = torch.zeros(2, *shape, dtype=like.dtype, device=like.device)

    def begin(self, epoch: int) -> None:
        """Put the numbers of an epoch, counted from 0, where steps read them."""
        fill(self._weight, [schedule.weight(epoch) for schedule in self._schedules])
        fill(self._capacity, [schedule.capacity(epoch) or 0.0 for schedule in self._schedules])

    def of(self, kl_z_n: Tensor) -> Tensor:
        """Term of each loss for the KL of each cell ``(..., n)``, nats."""
        kl = kl_z_n.mean(-1)
        return self._weight * torch.where(self._has_capacity, (kl - self._capacity).abs(), kl)


def fill(memory: Tensor, numbers: Sequence[float]) -> None:
    """Put a number for each run where steps, which may be recorded, will read it."""
    memory.copy_(torch.tensor(numbers, dtype=torch.float64).view(memory.shape))
