"""MINE on a real latent space: the decoder must do without the batch, so that plain scVI leaks it into z."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.config import Model, RunConfig
from bie.data.load import load
from bie.experiment import experiment
from bie.metrics.dependence import mi_ross
from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result
from bie.seeds import Streams
from tests.probes import linear

OVERRIDES = (
    "dataset=zinb",
    "dataset.preset=strong",
    "dataset.n_cells=2000",
    "dataset.n_genes=100",
    "model=scvi,scvi_mine",
    "model.batch_covariate=false",
    "train=smoke",
    "train.epochs=40",
    "metrics.kmeans.n_init=5",
    "save.embedding=true",
    "seed=0",
)


@dataclass(frozen=True)
class Arms:
    """The two models at one seed, and the configuration of the second."""

    scvi: Result
    mine: Result
    config: RunConfig


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has it: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def arms(configurations: Configurations, one_thread: None) -> Arms:
    scvi, mine = (combination.config for combination in expand(OVERRIDES, configurations).combinations)
    cells = load(scvi.dataset)
    with pytest.MonkeyPatch.context() as patch:
        linear(patch)
        without, with_penalty = (experiment(config, cells, lambda row: None) for config in (scvi, mine))
    return Arms(without, with_penalty, mine)


def held_out(result: Result, name: str) -> float:
    value = result.metrics["test"][name]
    assert value is not None
    return value


def test_plain_scvi_leaks_the_batch(arms: Arms) -> None:
    entropy = -(0.67 * np.log(0.67) + 0.33 * np.log(0.33))
    assert held_out(arms.scvi, "mi_ross") > 0.9 * entropy
    assert held_out(arms.scvi, "be_ratio") < 0.3


def test_penalty_removes_most_of_the_held_out_dependence(arms: Arms) -> None:
    assert held_out(arms.mine, "mi_ross") < 0.5 * held_out(arms.scvi, "mi_ross")


def test_penalty_mixes_the_batches(arms: Arms) -> None:
    assert held_out(arms.mine, "be_ratio") > 0.75


def test_critic_agrees_with_nearest_neighbours_before_the_penalty_acts(arms: Arms) -> None:
    """The second arm's critic, trained on the latent vectors of the first, on average over its last steps."""
    train, test = latent(arms.scvi, "train"), latent(arms.scvi, "test")
    assert isinstance(arms.config.model, Model)
    penalty = build_penalty(arms.config.penalty, arms.config.model.n_latent, 2, Streams(0))
    assert penalty is not None
    optimiser = torch.optim.Adam(penalty.parameters(), lr=penalty.critic_lr, fused=True)
    order, noise = torch.Generator().manual_seed(0), Noise(torch.Generator().manual_seed(1))
    estimates = []
    for step in range(1500):
        rows = torch.randint(len(train[1]), (128,), generator=order)
        optimiser.zero_grad()
        penalty.critic_loss(train[0][rows], train[1][rows], noise).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step >= 1000 and step % 10 == 0:
            estimates.append(float(penalty.encoder_loss(*test, noise)[1]["mine"]))
    neighbours = mi_ross(test[0].double().numpy(), test[1].numpy())
    assert np.mean(estimates) == pytest.approx(neighbours, rel=0.1)


def latent(result: Result, part: str) -> tuple[Tensor, Tensor]:
    """Embedding and batch codes of one part of the cells."""
    columns = np.load(io.BytesIO(result.files["embedding.npz"]))
    rows = columns["split"] == part
    batch_n: NDArray[np.int64] = np.unique(columns["batch"], return_inverse=True)[1]
    return torch.from_numpy(columns["z"][rows]), torch.from_numpy(batch_n[rows])
