"""What a penalty is: formulas. Engines (`bie.training.engine`) minimise them, and know faster ways."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from bie.models.noise import Noise
from bie.penalties.preference import Preference


class Penalty(nn.Module, ABC):
    """A measure of dependence between latent vector and batch that is added to the model's loss.

    Its parameters are those of its critic, which get an Adam optimiser of their own; there may be none.

    Attributes
    ----------
    name
        That of its section of the configuration.
    scale
        Its coefficient in the model's loss at the end of any ramp, >= 0.
    current_scales
        In a pack, `current_scale` of each run, ``(r,)``, in memory that stays where it is; else None.
    critic_steps
        Steps of the critic before each step of the model; 0 where there is none.
    critic_lr
        Learning rate of the critic.
    preference
        Weighs it against the model's loss, step by step, in place of a scale; None: the scale does.
    epoch, progress
        Epochs that are over, and their share in all, 0 to below 1. The training loop sets them; a penalty may
        look at them in `scale_factor`: a step that is recorded would not see them change elsewhere.
    """

    name: str = "penalty"
    scale: float
    current_scales: Tensor | None = None
    critic_steps: int = 0
    critic_lr: float = 0.0
    preference: Preference | None
    epoch: int = 0
    progress: float = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.preference = None

    def scale_factor(self) -> float:
        """Factor of the scale at this point of the training, 0 to 1: a ramp, or a warm start."""
        return 1.0

    def current_scale(self) -> float | Tensor:
        """`scale` times `scale_factor`: what `encoder_loss` multiplies its value by."""
        return self.scale * self.scale_factor() if self.current_scales is None else self.current_scales

    def critic_input(self, z_nd: Tensor, mean_nd: Tensor) -> Tensor:
        """Latent vectors of a minibatch as this penalty judges them: as they were sampled.

        Parameters
        ----------
        z_nd, mean_nd
            Samples and means of the cells' latent distributions.
        """
        return z_nd

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Loss that the critic minimises; 0 where there is none.

        Parameters
        ----------
        z_nd
            Latent vectors of a minibatch, from `critic_input`, detached from the model.
        batch_n
            Their batch codes, int64.
        noise
            Stream of the penalty's own draws.
        """
        return z_nd.new_zeros(())

    @abstractmethod
    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Term of the model's loss, with gradient into `z_nd` and not into the critic.

        Parameters
        ----------
        z_nd, batch_n, noise
            As for `critic_loss`, `z_nd` attached to the model.

        Returns
        -------
        loss : Tensor
            What is added to the model's loss (nats per cell), scale included.
        terms : dict[str, Tensor]
            Named unscaled numbers for the history, nats.
        """
