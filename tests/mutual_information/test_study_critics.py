"""The critics against formulas written out cell by cell, and what they can and cannot see."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from bie.mutual_information import build_critic
from bie.mutual_information.estimators import dv_bound
from bie.mutual_information.study_critics import MineNet, MineNet2, MineNet3, MineNet4
from bie.penalties.mine import Mine

Array = NDArray[np.float64]
CRITICS = ["mine_net", "mine_net2", "mine_net3", "mine_net4"]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(name: str, seed: int = 0, n_columns: int = 1, n_hidden: int = 5, n_layers: int = 3) -> Any:
    """A critic in double precision whose batch norms do something of their own."""
    critic = build_critic(name, 3, n_columns, n_hidden, n_layers, generator(seed)).double()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator(seed + 1)))
    return critic


def inputs(n: int = 7) -> tuple[Tensor, Tensor]:
    z_nd = torch.randn(n, 3, generator=generator(9)).double()
    return z_nd, (torch.arange(n) % 2).double().unsqueeze(-1)


def linear(layer: nn.Module, x: Array) -> Array:
    weight, bias = (parameter.detach().numpy() for parameter in layer.parameters())
    out = np.zeros((len(x), weight.shape[1]))
    for row in range(len(x)):
        for unit in range(weight.shape[1]):
            total = bias[0, unit]
            for column in range(weight.shape[0]):
                total += x[row, column] * weight[column, unit]
            out[row, unit] = total
    return out


def block(layer: Any, x: Array) -> Array:
    """Linear, batch norm by the moments of these rows, ReLU."""
    h = linear(layer.linears[0], x)
    weight, bias = (parameter.detach().numpy()[0] for parameter in layer.norms[0].parameters())
    for unit in range(h.shape[1]):
        mean = sum(h[:, unit]) / len(h)
        variance = sum((value - mean) ** 2 for value in h[:, unit]) / len(h)
        for row in range(len(h)):
            normed = weight[unit] * (h[row, unit] - mean) / math.sqrt(variance + 0.001) + bias[unit]
            h[row, unit] = max(normed, 0.0)
    return h


def network(layers: Any, x: Array) -> Array:
    for layer in layers:
        x = block(layer, x)
    return x


def explicit(critic: Any, z: Array, s: Array) -> Array:
    if isinstance(critic, MineNet):
        return np.maximum(linear(critic.of_batch, s) + network(critic.of_latent, z), 0)[:, 0]
    if isinstance(critic, MineNet2):
        return np.maximum(network(critic.of_batch, s) + network(critic.of_latent, z), 0)[:, 0]
    if isinstance(critic, MineNet3):
        h = np.maximum(linear(critic.of_batch, s) + linear(critic.of_latent, z), 0)
        return linear(critic.score, h)[:, 0]
    assert isinstance(critic, MineNet4)
    h = np.maximum(linear(critic.first, np.hstack((z, s))), 0)
    return linear(critic.score, np.maximum(linear(critic.second, h), 0))[:, 0]


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("name", CRITICS)
def test_equals_the_formula_written_out(name: str, n_layers: int) -> None:
    critic, (z_nd, s_n1) = build(name, n_layers=n_layers), inputs()
    expected = explicit(critic, z_nd.numpy(), s_n1.numpy())
    assert len(set(expected.round(6))) > 2
    np.testing.assert_allclose(critic(z_nd, s_n1).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("mine_net", [(1, 1), (3, 10), (10, 10), (10, 1)]),
        ("mine_net2", [(1, 10), (10, 10), (10, 1), (3, 10), (10, 10), (10, 1)]),
        ("mine_net3", [(1, 10), (3, 10), (10, 1)]),
        ("mine_net4", [(4, 32), (32, 16), (16, 1)]),
    ],
)
def test_sizes_are_those_of_the_study(name: str, shapes: list[tuple[int, int]]) -> None:
    critic = build(name, n_hidden=10, n_layers=3)
    weights = [p for key, p in critic.named_parameters() if key.endswith("weight") and "norms" not in key]
    assert [tuple(weight.shape) for weight in weights] == shapes


@pytest.mark.parametrize("name", ["mlp", *CRITICS])
def test_stacked_parameters_are_several_critics(name: str) -> None:
    critics = [build(name, seed) for seed in (0, 1)]
    z_nd, s_n1 = inputs()
    stacked = stack_module_state(critics)
    scores_rn = functional_call(critics[0], stacked, (z_nd.expand(2, 7, 3), s_n1.expand(2, 7, 1)))
    for critic, scores_n in zip(critics, scores_rn, strict=True):
        torch.testing.assert_close(critic(z_nd, s_n1), scores_n)


def test_every_critic_that_can_be_asked_for_can_be_built() -> None:
    names = Mine.model_fields["critic"].annotation.__args__  # type: ignore[union-attr]
    assert set(names) == {"separable", "mlp", *CRITICS}
    assert len({type(build(name)) for name in names}) == 6


# What they can see


def bound(critic: nn.Module, z_nd: Tensor, s_n1: Tensor) -> Tensor:
    """Donsker-Varadhan with all n² pairs as the independent ones: no luck of a shuffle in it."""
    n = len(z_nd)
    marginal = critic(z_nd.repeat(n, 1), s_n1.repeat_interleave(n, 0))
    return dv_bound(critic(z_nd, s_n1), marginal)


def told_apart(n: int = 24) -> tuple[Tensor, Tensor]:
    """The sign of a dimension tells the batch: ln 2 nats."""
    z_nd, s_n1 = inputs(n)
    z_nd[:, 1] = (2 * s_n1[:, 0] - 1) * (1 + z_nd[:, 1].abs())
    return z_nd, s_n1


def best(critic: nn.Module, steps: int = 300) -> float:
    """The highest bound on the way up."""
    z_nd, s_n1 = told_apart()
    optimiser = torch.optim.Adam(critic.parameters(), lr=0.02)
    found = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = bound(critic, z_nd, s_n1)
        torch.autograd.backward(-value)
        optimiser.step()
        found.append(value.item())
    return max(found)


@pytest.mark.parametrize("seed", range(5))
def test_mine_net2_is_blind_at_any_parameters(seed: int) -> None:
    with torch.no_grad():
        assert bound(build("mine_net2", seed), *told_apart()) <= 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_mine_net_is_blind_away_from_the_kink(seed: int) -> None:
    critic = build("mine_net", seed)
    with torch.no_grad():
        critic.of_batch.bias.add_(10)  # no score is cut off at 0
        assert bound(critic, *told_apart()) <= 1e-12


def test_no_training_opens_the_eyes_of_mine_net2() -> None:
    assert best(build("mine_net2")) <= 1e-12


def test_mine_net_sees_through_its_kink() -> None:
    """Cut off at 0, the sum of two signs is their AND, times ln 3 here: a bound of ln(4/3) / 2."""
    critic: Any = MineNet(1, 1, n_hidden=1, n_layers=1, init=generator(0)).double()
    block = critic.of_latent[0]
    values = {
        block.linears[0].weight: 1.0,
        block.linears[0].bias: 0.0,
        block.norms[0].weight: math.log(3) / 2,
        block.norms[0].bias: math.log(3) / 2,
        critic.of_batch.weight: math.log(3),
        critic.of_batch.bias: -math.log(3),
    }
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.fill_(value)
        s_n1 = inputs(24)[1]
        found = bound(critic, 2 * s_n1 - 1, s_n1).item()
    assert found == pytest.approx(math.log(4 / 3) / 2, abs=1e-4)


@pytest.mark.parametrize("name", ["mlp", "mine_net3", "mine_net4"])
def test_the_others_see_all_of_it(name: str) -> None:
    assert best(build(name, n_hidden=10, n_layers=1)) > 0.95 * math.log(2)
