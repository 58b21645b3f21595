"""The engine of one run in C kernels, on sparse counts; autograd is left with penalties without kernels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.data.cells import Cells
from bie.kernels.adam import CompiledAdam
from bie.models.compiled import CompiledScvi
from bie.models.noise import Noise
from bie.training.batches import chunks, sparse
from bie.training.critic import critics_of
from bie.training.engine import Engine, Table
from bie.training.learner import Solo
from bie.training.loss import Row, mean_parts, numbers, total
from bie.training.run import EVALUATION, Progress
from bie.training.schedules import KlTerm


class Compiled(Engine):
    """One run, whose model has kernels; see `Engine`.

    Reconstruction and divergences enter a loss by their means over the cells, whose derivatives are known;
    the gradient of the penalty w.r.t. the latent vectors comes with its value (`Critics.step`).

    Parameters
    ----------
    run
        Its model's parameters stay where they are in memory.
    cells
        The data.
    """

    def __init__(self, run: Progress, cells: Cells) -> None:
        self._run, self._cells = run, cells
        self._learner = Solo(run.model_start())
        assert isinstance(self._learner.optimiser, CompiledAdam)
        self._model = CompiledScvi(run.run.model, self._learner.optimiser)
        self._kl = KlTerm([run.schedule], (), self._learner.leaves[0])
        self._critics = critics_of([run], torch.device("cpu"), alone=True)
        self._noise = {name: Noise(generator) for name, generator in run.noise.items()}

    def epoch(self, rows_rn: NDArray[np.int64], sizes: Sequence[int], epoch: int) -> Table:
        """See `Engine`."""
        self._run.run.model.train()
        self._kl.begin(epoch)
        if self._critics:
            self._critics.begin(epoch)
        (rows,) = rows_rn
        parts = np.split(rows, np.cumsum(sizes)[:-1])
        return _table([self._step(part, epoch) for part in parts])

    def _step(self, rows: NDArray[np.int64], epoch: int) -> Row:
        x_ng, batch_n, _ = sparse(self._cells, rows)
        terms = self._model.forward(x_ng, batch_n, self._noise["noise"])
        grads: tuple[Tensor | None, ...] = (None, None)
        penalty, columns = None, {}
        if self._critics:
            found = self._critics.step(terms.z_nd, terms.mean_nd, batch_n, self._noise["penalty"])
            penalty, grads, columns = found[:2], found[2:], self._critics.history_columns()
        row = numbers(total(mean_parts(terms), self._kl.of(terms.kl_z_n), penalty) | columns)
        self._model.backward(self._run.schedule.slope(row["kl_z"], epoch), *grads)
        return row

    @torch.inference_mode()
    def evaluate(self, rows_rn: NDArray[np.int64]) -> Table:
        """See `Engine`."""
        self._run.run.model.eval()
        noise, of_penalty = (Noise(self._run.run.streams.torch(name)) for name in EVALUATION)
        return _table([self._evaluated(part, noise, of_penalty) for part in chunks(rows_rn[0])])

    def _evaluated(self, rows: NDArray[np.int64], noise: Noise, of_penalty: Noise) -> Row:
        x_ng, batch_n, _ = sparse(self._cells, rows)
        terms, penalty = self._model(x_ng, batch_n, noise), None
        if self._critics:
            penalty = self._critics.evaluate(terms.z_nd, terms.mean_nd, batch_n, of_penalty)
        return numbers(total(mean_parts(terms), self._kl.of(terms.kl_z_n), penalty))

    def keep(self, places: Sequence[int]) -> None:
        """See `Engine`; there is no other run."""

    def run_state(self, place: int) -> dict[str, Any]:
        """See `Engine`."""
        model, optimiser = self._learner.run_state(place)
        penalty = {"penalty": self._critics.run_state(place)} if self._critics else {}
        return {"model": model, "optimiser": optimiser, **penalty}


def _table(rows: list[Row]) -> Table:
    values = torch.tensor([list(row.values()) for row in rows], dtype=torch.float64)
    return Table(list(rows[0]), values.unsqueeze(-1))
