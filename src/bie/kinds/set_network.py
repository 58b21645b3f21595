"""A network that makes one vector of a set of points (Zaheer et al. 2017), by a contrastive loss."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from bie.config.sets import DeepSets
from bie.kinds.point_sets import Floats, PointSets
from bie.models.layers import Linear
from bie.seeds import Streams
from bie.training.batches import minibatches

Row = dict[str, float]


class SetNetwork(nn.Module):
    """Each point through a layer, the sum over the points through two; LeakyReLU after each.

    Parameters
    ----------
    settings
        Section ``model``.
    n_in
        Dimensions of a point.
    init
        Stream of the initial weights.
    """

    def __init__(self, settings: DeepSets, n_in: int, init: torch.Generator) -> None:
        super().__init__()
        self.point = Linear(n_in, settings.n_hidden, init)
        self.projection = Linear(settings.n_hidden, settings.n_projection, init)
        self.out = Linear(settings.n_projection, settings.n_out, init)
        self.relu = nn.LeakyReLU()

    def forward(self, x_smd: Tensor) -> Tensor:
        """Map sets ``(s, m, d)`` to vectors ``(s, n_out)``; the order of the points does not matter."""
        sum_sh = self.relu(self.point(x_smd)).sum(-2)
        found: Tensor = self.relu(self.out(self.relu(self.projection(sum_sh))))
        return found


def supervised_contrastive_loss(z_sd: Tensor, class_s: Tensor, temperature: float) -> Tensor:
    """Loss of vectors whose classes are known (Khosla et al. 2020, arXiv:2004.11362, L_out), by cosine.

    The mean over the sets i that have another of their class of ``-mean_p log softmax_a(z_i.z_a / t)_p``:
    a runs over all other sets, p over those of the same class. 0 where none has.
    """
    unit_sd = normalize(z_sd, dim=1)
    itself = torch.eye(len(z_sd), dtype=torch.bool)
    similarity = (unit_sd @ unit_sd.T / temperature).masked_fill(itself, -torch.inf)
    log_share = similarity.log_softmax(1).masked_fill(itself, 0)
    same = (class_s[:, None] == class_s) & ~itself
    n_same, anchor = same.sum(1), same.any(1)
    if not anchor.any():
        return z_sd.sum() * 0
    return -((log_share * same).sum(1)[anchor] / n_same[anchor]).mean()


class TrainedSets:
    """A network and its training.

    Parameters
    ----------
    settings
        Section ``model``.
    streams
        Of the run; ``init`` and ``minibatch`` are read here.
    """

    def __init__(self, settings: DeepSets, streams: Streams) -> None:
        self.settings, self.order = settings, streams.numpy("minibatch")
        self.network = SetNetwork(settings, 2, streams.torch("init"))

    def fit(self, sets: PointSets, on_epoch: Callable[[Row], None]) -> list[Row]:
        """Train; a row for each epoch with the mean loss of its minibatches."""
        settings, history = self.settings, list[Row]()
        x_smd, class_s = torch.from_numpy(sets.x_smd.astype(np.float32)), torch.from_numpy(sets.class_s)
        decay = settings.weight_decay
        optimiser = torch.optim.AdamW(self.network.parameters(), settings.lr, weight_decay=decay)
        for epoch in range(settings.epochs):
            losses = []
            for rows in self._minibatches(len(x_smd)):
                optimiser.zero_grad()
                vectors = self.network(x_smd[rows])
                loss = supervised_contrastive_loss(vectors, class_s[rows], settings.temperature)
                torch.autograd.backward(loss)
                optimiser.step()
                losses.append(loss.item())
            history.append({"epoch": epoch + 1, "train_loss": float(np.mean(losses))})
            on_epoch(history[-1])
        return history

    def _minibatches(self, n_sets: int) -> list[Tensor]:
        size = self.settings.batch_size
        if not self.settings.shuffle:
            return [torch.arange(first, min(first + size, n_sets)) for first in range(0, n_sets, size)]
        return [torch.from_numpy(rows) for rows in minibatches(np.arange(n_sets), size, self.order)]

    @torch.no_grad()
    def vectors(self, sets: PointSets) -> Floats:
        """The vector of each set."""
        found: Floats = self.network(torch.from_numpy(sets.x_smd.astype(np.float32))).double().numpy()
        return found
