"""How much the KL divergence of z counts, epoch by epoch; the same for every model."""

from torch import Tensor

from bie.config import Kl


class KlSchedule:
    """The KL term of the loss.

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

    def capacity(self, epoch: int) -> float:
        """Capacity in the epoch counted from 0, nats."""
        return self._ramp(epoch) * self.settings.capacity

    def term(self, kl_z_n: Tensor, epoch: int) -> Tensor:
        """Term of the loss for the KL of each cell ``(..., n)``, nats."""
        kl = kl_z_n.mean(-1)
        if self.settings.mode == "capacity":
            kl = (kl - self.capacity(epoch)).abs()
        return self.weight(epoch) * kl

    def slope(self, kl: float, epoch: int) -> float:
        """Derivative of the term by the mean KL of the cells, where that is `kl`, nats."""
        below = self.settings.mode == "capacity" and kl < self.capacity(epoch)
        return -self.weight(epoch) if below else self.weight(epoch)

    def _ramp(self, epoch: int) -> float:
        warmup_epochs = self.settings.warmup_epochs
        return min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
