"""A critic's steps in one call against the steps that define them, in double precision."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bie.config import Adversarial, Mine
from bie.kernels import native
from bie.kernels.adam import CompiledAdam
from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.base import Penalty
from bie.penalties.mine import standardised
from bie.seeds import Streams

N, D = 50, 5
MINE = {
    "scale": 1.0,
    "critic": "mlp",
    "n_hidden": 33,
    "n_layers": 2,
    "batch_input": "onehot",
    "latent": "sample",
    "critic_training": "adam",
    "estimator": "dv",
    "lr": 1e-2,
    "steps": 4,
    "ema": 0.1,
    "warm_start": 0,
}
ADVERSARIAL = {
    "scale": 1.0,
    "objective": "reversal",
    "ramp": "constant",
    "n_hidden": 33,
    "n_layers": 2,
    "dropout": 0.0,
    "lr": 1e-2,
    "steps": 4,
}
SECTIONS = {
    "mine": ("mine", Mine.model_validate(MINE)),
    "mine, raw, no memory": ("mine", Mine.model_validate(MINE | {"batch_input": "raw", "ema": 1.0})),
    "mine, one layer": ("mine", Mine.model_validate(MINE | {"n_layers": 1})),
    "adversarial": ("adversarial", Adversarial.model_validate(ADVERSARIAL)),
}
BATCHES = {"two": [0, 1] * 25, "one absent, one cell": [0] * 40 + [2] * 9 + [3]}


class Cells:
    """The same penalty twice: single precision with kernels, double precision without."""

    def __init__(self, name: str, batches: list[int]) -> None:
        self.batch_n, n_batches = torch.tensor(batches), max(batches) + 1
        self.fast, self.exact = (self.build(name, n_batches) for _ in range(2))
        self.exact.double()
        self.optimiser = CompiledAdam(list(self.fast.parameters()), 1e-2, 1e-3, 0.0)
        self.exact_optimiser = torch.optim.Adam(self.exact.parameters(), lr=1e-2, eps=1e-3)

    @staticmethod
    def build(name: str, n_batches: int) -> Penalty:
        penalty = build_penalty(SECTIONS[name], D, n_batches, Streams(0))
        assert penalty is not None
        return penalty

    def learn(self, z_nd: Tensor) -> None:
        self.fast.learn(z_nd, self.batch_n, Noise(torch.Generator().manual_seed(1)), self.optimiser)
        noise = Noise(torch.Generator().manual_seed(1))
        self.exact.learn(z_nd.double(), self.batch_n, noise, self.exact_optimiser)


def latent(seed: int) -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(seed))


def vector(penalty: Penalty) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in penalty.parameters()])


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that have been called."""
    names: list[str] = []

    def listen(kernel: str, *arguments: Any) -> None:
        names.append(kernel)
        native.call(kernel, *arguments)

    monkeypatch.setattr("bie.kernels.critics.call", listen)
    return names


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
def test_steps_on_three_minibatches(name: str, batches: list[int], called: list[str]) -> None:
    cells = Cells(name, batches)
    start = vector(cells.fast)
    for seed in range(3):
        cells.learn(latent(seed))
        moved = (vector(cells.exact) - start).norm()
        assert (vector(cells.fast) - vector(cells.exact)).norm() < 1e-4 * moved
    assert called == ["learn_bound" if name.startswith("mine") else "learn_classes"] * 3
    assert cells.optimiser.n_steps == 12
    for (key, one), other in zip(cells.fast.named_buffers(), cells.exact.buffers(), strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_the_gradient_of_a_step(name: str) -> None:
    """After one step from rest a tenth of it is the first moment."""
    cells = Cells(name, BATCHES["one absent, one cell"])
    cells.fast.critic_steps = cells.exact.critic_steps = 1
    cells.learn(latent(0))
    by = [parameter.grad for parameter in cells.exact.parameters() if parameter.grad is not None]
    expected = torch.cat([gradient.flatten() for gradient in by])
    found = cells.optimiser.state_dict()["mean"] / 0.1
    assert (found - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_latent_vectors_of_another_width_are_refused(name: str) -> None:
    cells = Cells(name, BATCHES["two"])
    with pytest.raises(ValueError, match="columns for a network of"):
        cells.fast.learn(latent(0)[:, :3], cells.batch_n, Noise(torch.Generator()), cells.optimiser)


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_the_judgement_and_its_gradient(
    name: str, batches: list[int], spread: float, called: list[str]
) -> None:
    """Of critics with small and with large outputs."""
    cells, found = Cells(name, batches), []
    for penalty in (cells.fast, cells.exact):
        (parameters,) = penalty.parameters()
        with torch.no_grad():
            parameters[-33:] *= spread
        z_nd = latent(0).to(parameters.dtype).requires_grad_()
        noise = Noise(torch.Generator().manual_seed(2))
        _, terms = penalty.encoder_loss(z_nd, cells.batch_n, noise)
        loss, _ = penalty.encoder_loss(z_nd, cells.batch_n, Noise(torch.Generator().manual_seed(2)))
        (by_z,) = torch.autograd.grad(3 * loss, z_nd)
        assert parameters.grad is None
        found.append((*terms.values(), by_z))
    assert called == ["judge_bound" if name.startswith("mine") else "judge_classes"] * 2
    (value, by_z), (right, by_right) = found
    assert (value - right).abs() < 1e-6 * (1 + spread)
    assert (by_z - by_right).norm() <= 1e-5 * by_right.norm()


def test_standardised_with_gradient() -> None:
    x_nd = 3 * latent(0) + 7
    x_nd[:, 1] = 7.0  # does not vary
    upstream, found = latent(1), []
    for x in (x_nd.requires_grad_(), x_nd.detach().double().requires_grad_()):
        y = standardised(x)
        found.append((y, *torch.autograd.grad(y, x, upstream.to(x.dtype))))
    (y, by_x), (right, by_right) = found
    assert "_Standardised" in str(y.grad_fn)
    torch.testing.assert_close(y.double(), right, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(by_x.double(), by_right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_a_judgement_that_is_not_finite_is_not_hidden(name: str) -> None:
    cells, z_nd = Cells(name, BATCHES["two"]), latent(0)
    z_nd[7, 2] = torch.nan
    loss, _ = cells.fast.encoder_loss(z_nd, cells.batch_n, Noise(torch.Generator()))
    assert not loss.isfinite()


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_what_is_not_finite_is_not_hidden(name: str) -> None:
    cells, z_nd = Cells(name, BATCHES["two"]), latent(0)
    z_nd[7, 2] = torch.nan
    cells.fast.learn(z_nd, cells.batch_n, Noise(torch.Generator()), cells.optimiser)
    assert not vector(cells.fast).isfinite().all()
