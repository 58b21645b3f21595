"""Weights by a preference: the shortest vector, and fronts that are known, convex and not."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from bie.config.penalties import sections
from bie.data.load import load
from bie.penalties.preference import HALF_SECTOR, PRETRAINED, Preference, angle, first_epoch, min_norm_share
from bie.planning.compose import Configurations
from bie.training.engine import engines
from bie.training.run import Progress
from bie.training.stacked import Stacked
from tests.training.packs import alone, configs, member

VALUES = (0.1, 0.3, 0.5, 0.7, 0.9)


def products(u: Tensor, v: Tensor) -> Tensor:
    return torch.stack([u @ u, u @ v, v @ v])


def test_the_shortest_vector_is_that_of_a_minimiser() -> None:
    draw = torch.Generator().manual_seed(0)
    for _ in range(50):
        u, v = torch.randn(2, 5, generator=draw, dtype=torch.float64)
        v *= 10 ** torch.randn((), generator=draw, dtype=torch.float64)

        def square(s: float, u: Tensor = u, v: Tensor = v) -> float:
            return float(((1 - s) * u + s * v).square().sum())

        found = float(min_norm_share(*products(u, v)))
        assert found == pytest.approx(minimize_scalar(square, bounds=(0, 1), method="bounded").x, abs=1e-5)


@pytest.mark.parametrize(
    ("u", "v", "share"),
    [
        ([1.0, 0.0], [0.0, 1.0], 0.5),
        ([1.0, 0.0], [0.0, 2.0], 0.2),
        ([1.0, 0.0], [-3.0, 0.0], 0.25),  # opposite: the shortest is 0
        ([1.0, 0.0], [3.0, 1.0], 0.0),  # the first is shorter than all between
        ([3.0, 1.0], [1.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 0.0], 1.0),
        ([1.0, 0.0], [1.0, 0.0], 0.0),  # equal: any is
    ],
)
def test_closed_forms(u: list[float], v: list[float], share: float) -> None:
    assert float(min_norm_share(*products(torch.tensor(u), torch.tensor(v)))) == pytest.approx(share)


def between(*values: float, unit: float = 1.0) -> Preference:
    """Of as many runs; they act, and their losses lie between 0 and 1, the second between 0 and `unit`."""
    found = Preference(0.5).double()
    found.begin(1, 2)
    found.value = torch.tensor(values, dtype=torch.float64)
    found.lowest = torch.zeros(len(values), 2, dtype=torch.float64)
    found.highest = torch.tensor([[1.0, unit]] * len(values), dtype=torch.float64)
    found.average = torch.full_like(found.highest, torch.nan)
    return found


A, B = torch.full((3,), 3**-0.5, dtype=torch.float64), -torch.full((3,), 3**-0.5, dtype=torch.float64)


def convex(x_rd: Tensor) -> Tensor:
    """Squared distances from two points; the front, ``sqrt(f) + sqrt(g) = 1``, is over the line between."""
    return torch.stack([(x_rd - end).square().sum(-1) / 4 for end in (A, B)], -1)


def concave(x_rd: Tensor) -> Tensor:
    """The problem of Lin et al. 2019, whose front no weighted sum reaches but at its ends."""
    return 1 - torch.exp(-4 * convex(x_rd))


def descended(losses: Callable[[Tensor], Tensor], unit: float = 1.0, steps: int = 300) -> Tensor:
    """Where gradient descent ends with each of `VALUES`."""
    preference = between(*VALUES, unit=unit)
    x_rd = torch.tensor([[0.5, -0.6, 0.1]] * len(VALUES), dtype=torch.float64)
    for _ in range(steps):
        x_rd.requires_grad_()
        found = losses(x_rd) * torch.tensor([1.0, unit])
        u, v = (torch.autograd.grad(one.sum(), x_rd, retain_graph=True)[0] for one in found.unbind(-1))
        pairs = torch.stack([(a * b).sum(-1) for a, b in ((u, u), (u, v), (v, v))], -1)
        weights = preference.weights(found.detach(), pairs)
        x_rd = x_rd.detach() - 0.1 * (weights.fit[:, None] * u + weights.removal[:, None] * v)
    return x_rd


@pytest.mark.parametrize("losses", [convex, concave])
def test_each_preference_ends_on_the_front_in_its_sector(losses: Callable[[Tensor], Tensor]) -> None:
    x_rd = descended(losses)
    along = (x_rd - B) @ (A - B) / (A - B).square().sum()
    aside = (x_rd - B - along[:, None] * (A - B)).norm(dim=-1)
    assert aside.max() < 0.02, "the front lies over the line between the minima"
    assert along.min() > 0
    assert along.max() < 1
    angles = angle(losses(x_rd)).tolist()
    assert angles == pytest.approx(VALUES, abs=HALF_SECTOR + 0.02)
    assert (np.diff(angles) > 0.05).all()


def test_the_unit_of_a_penalty_does_not_matter() -> None:
    assert torch.equal(descended(concave, steps=50), descended(concave, unit=1024.0, steps=50))


def test_extremes_are_those_of_the_first_epochs_and_go_down_with_a_loss() -> None:
    preference, epochs = Preference(0.5), 4
    assert first_epoch(epochs) == round(PRETRAINED * epochs) == 2
    for epoch, pair in enumerate([(90.0, 0.1), (50.0, 0.6), (30.0, 0.3)]):
        preference.begin(epoch, epochs)
        for more in (0.0, 10.0):
            losses = torch.tensor([pair[0] + more, pair[1] + more / 100])
            weights = preference.weights(losses, torch.tensor([1.0, 0.0, 1.0]))
            if epoch < 2:
                assert [float(weight) for weight in weights] == [1, 0, 0, 0]
    torch.testing.assert_close(preference.lowest, torch.tensor([30.0, 0.1]))
    torch.testing.assert_close(preference.highest, torch.tensor([40.0, 0.7]))


@pytest.mark.parametrize(("losses", "share"), [((0.9, 0.1), 0.0), ((0.1, 0.9), 1.0), ((0.5, 0.5), 0.5)])
def test_out_of_its_sector_the_larger_loss_is_lowered_alone(
    losses: tuple[float, float], share: float
) -> None:
    given = torch.tensor([losses], dtype=torch.float64)
    weights = between(0.5).weights(given, torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64))
    assert (float(weights.share), float(weights.fit), float(weights.removal)) == (share, 1 - share, share)


def test_a_penalty_that_never_moved_weighs_nothing() -> None:
    preference = Preference(0.5)
    for epoch in range(2):
        preference.begin(epoch, 2)
        weights = preference.weights(torch.tensor([9.0 - epoch, 0.3]), torch.tensor([1.0, 0.0, 0.0]))
    assert (float(weights.fit), float(weights.removal)) == (1, 0)


@pytest.mark.parametrize("name", sections())
def test_every_penalty_can_be_preferred(name: str, configurations: Configurations) -> None:
    model = name if name == "adversarial" else f"scvi_{name}"
    (config,) = configs(configurations, f"model={model}", f"{name}.preference=0.7", "dataset.n_genes=50")
    run, cells = member(config, load(config.dataset)), load(config.dataset)
    assert isinstance(engines(cells, "cpu")([Progress(run)]), Stacked), (
        "there are no kernels for two gradients"
    )
    history = alone(run, cells)
    assert np.isfinite([list(row.values()) for row in history]).all()
    shares = [row["train_removal_share"] for row in history]
    assert shares[: first_epoch(len(history))] == [0, 0]
    assert 0 <= shares[-1] <= 1
    assert 0 < history[-1]["train_angle"] <= 1
    assert run.penalty
    assert run.penalty.current_scale() == 1
