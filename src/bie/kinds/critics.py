"""A critic that climbs a lower bound on the mutual information of pairs, and what it reads off them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bie.config.pairs import Critic
from bie.errors import RunFailed
from bie.models.noise import Noise
from bie.mutual_information import build_critic
from bie.mutual_information.estimators import (
    BOUNDS,
    LogMovingAverage,
    critic_objective,
    infonce_bound,
    log_mean_exp,
)
from bie.mutual_information.known import Sample
from bie.seeds import Streams
from bie.training.batches import minibatches
from bie.training.critic import MOST_HALVINGS
from bie.training.optimiser import adam

Row = dict[str, float]


class TrainedCritic:
    """A critic and its training on pairs.

    Parameters
    ----------
    settings
        Section ``model``.
    sample
        All pairs.
    streams
        Of the run; ``init``, ``minibatch``, ``noise`` and ``evaluation`` are read here.
    """

    def __init__(self, settings: Critic, sample: Sample, streams: Streams) -> None:
        self.settings, self.streams = settings, streams
        self.x_nd, self.y_nd = (torch.from_numpy(v.astype(np.float32)) for v in (sample.x_nd, sample.y_nd))
        columns = self.y_nd.shape[1], self.x_nd.shape[1]
        sizes = settings.n_hidden, settings.n_layers
        self.critic = build_critic(settings.critic, *columns, *sizes, streams.torch("init"))
        self.average = LogMovingAverage(settings.ema)
        self.noise = Noise(streams.torch("noise"))
        self.halvings = 0

    def fit(self, train: np.ndarray, test: np.ndarray, on_epoch: Callable[[Row], None]) -> list[Row]:
        """Train on some pairs; a row for each epoch with the bound on both parts, nats.

        Raises
        ------
        RunFailed
            Cause ``nan``: it diverged once more after `MOST_HALVINGS`, each a return to the epoch before.
        """
        order, history = self.streams.numpy("minibatch"), list[Row]()
        both = nn.ModuleList((self.critic, self.average))
        optimiser = adam(self.critic.parameters(), self.settings.lr, self.settings.adam_eps)
        for epoch in range(self.settings.epochs):
            before = {name: tensor.clone() for name, tensor in both.state_dict().items()}
            for rows in minibatches(train, self.settings.batch_size, order):
                optimiser.zero_grad()
                torch.autograd.backward(self._loss(torch.from_numpy(rows)))
                optimiser.step()
            row = self._estimates(train, test)
            if not np.isfinite(list(row.values())).all():
                self._slow_down(epoch)
                both.load_state_dict(before)
                lr = self.settings.lr / 2**self.halvings
                optimiser = adam(self.critic.parameters(), lr, self.settings.adam_eps)
                row = self._estimates(train, test)
            history.append({"epoch": epoch + 1, "critic_halvings": self.halvings, **row})
            on_epoch(history[-1])
        return history

    @torch.no_grad()
    def estimate(self, rows: np.ndarray) -> float:
        """The bound on some pairs, by the critic as it is: nats.

        Independent pairs are the same rows with x in one random order, as many as there are pairs; under
        InfoNCE each y meets the x of all rows of a minibatch, the logarithm of whose size is its cap.
        """
        self.critic.eval()
        noise, own = Noise(self.streams.torch("evaluation")), torch.from_numpy(rows)
        if self.settings.estimator == "infonce":
            n = self.settings.batch_size
            parts = [part for i in range(0, len(own), n) if len(part := own[i : i + n]) > 1]
            found = [(len(part), self._bound(part, noise).item()) for part in parts]
            value = sum(size * bound for size, bound in found) / sum(size for size, _ in found)
        else:
            value = self._bound(own, noise).item()
        self.critic.train()
        return value

    def _estimates(self, train: np.ndarray, test: np.ndarray) -> Row:
        return {"train_mi": self.estimate(train), "test_mi": self.estimate(test)}

    def _slow_down(self, epoch: int) -> None:
        """Count a divergence; one too many ends the run."""
        if self.halvings == MOST_HALVINGS:
            raise RunFailed(
                "nan",
                f"the critic diverged in epoch {epoch + 1}, model.lr={self.settings.lr:g} and halved "
                f"{MOST_HALVINGS} times: a lower model.lr may help",
            )
        self.halvings += 1

    def _loss(self, rows: Tensor) -> Tensor:
        if self.settings.estimator != "dv":
            return -self._bound(rows, self.noise)
        joint_n, marginal_n = self._scores(rows, self.noise)
        return critic_objective(joint_n, marginal_n, self.average.update(log_mean_exp(marginal_n.detach())))

    def _bound(self, rows: Tensor, noise: Noise) -> Tensor:
        if self.settings.estimator == "infonce":
            return infonce_bound(*self._contrasted(rows))
        return BOUNDS[self.settings.estimator](*self._scores(rows, noise))

    def _scores(self, rows: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Scores of pairs that belong together, ``(n,)``, and of as many independent ones, in one call."""
        y_nd, other = self.y_nd[rows], rows[noise.permutation(len(rows))]
        x_2nd = torch.cat((self.x_nd[rows], self.x_nd[other]))
        scores: Tensor = self.critic(torch.cat((y_nd, y_nd)), x_2nd)
        joint_n, marginal_n = scores.chunk(2)
        return joint_n, marginal_n

    def _contrasted(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of each y with its own x, ``(n,)``, and with those of all rows, ``(n, n)``."""
        n = len(rows)
        y_nnd, x_nnd = self.y_nd[rows].repeat_interleave(n, 0), self.x_nd[rows].repeat(n, 1)
        score_nn: Tensor = self.critic(y_nnd, x_nnd).view(n, n)
        return score_nn.diagonal(), score_nn
