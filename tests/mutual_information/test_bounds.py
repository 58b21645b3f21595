"""The bounds on correlated gaussians, whose mutual information is -d/2 ln(1 - rho²), and their caps."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bie.mutual_information.critics import MlpCritic
from bie.mutual_information.estimators import (
    LogMovingAverage,
    critic_objective,
    dv_bound,
    infonce_bound,
    log_mean_exp,
    nwj_bound,
)

Scores = Callable[[Tensor, Tensor], Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussians(n: int, d: int, rho: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    x_nd, noise_nd = torch.randn(2, n, d, generator=generator(seed))
    return x_nd, rho * x_nd + math.sqrt(1 - rho**2) * noise_nd


def information(d: int, rho: float) -> float:
    return -d / 2 * math.log(1 - rho**2)


def log_ratio(d: int, rho: float) -> Scores:
    """ln p(x, y)/p(x)p(y), the best critic there is."""

    def scores(x: Tensor, y: Tensor) -> Tensor:
        x, y = x.double(), y.double()
        square = (rho * (x.square() + y.square()) * rho - 2 * rho * x * y).sum(-1)
        return information(d, rho) - square / (2 * (1 - rho**2))

    return scores


def with_all(scores: Scores, x_nd: Tensor, y_md: Tensor) -> Tensor:
    """Scores ``(n, m)`` of each x with each y."""
    n, m = len(x_nd), len(y_md)
    return scores(x_nd.repeat_interleave(m, 0), y_md.repeat(n, 1)).view(n, m)


# Definitions and caps


def test_nwj_equals_its_definition() -> None:
    joint_n, marginal_n = torch.randn(2, 50, generator=generator()).double()
    expected = joint_n.mean() - (marginal_n - 1).exp().mean()
    torch.testing.assert_close(nwj_bound(joint_n, marginal_n), expected)


def test_infonce_equals_its_definition() -> None:
    score_nn = torch.randn(6, 6, generator=generator()).double()
    terms = [score_nn[i, i].exp() / score_nn[i].exp().mean() for i in range(6)]
    found = infonce_bound(score_nn.diagonal(), score_nn)
    torch.testing.assert_close(found, torch.stack(terms).log().mean())


def test_nwj_is_at_most_dv() -> None:
    """ln u <= u/e: whatever the scores are."""
    for seed in range(20):
        joint_n, marginal_n = 3 * torch.randn(2, 50, generator=generator(seed))
        assert nwj_bound(joint_n, marginal_n) <= dv_bound(joint_n, marginal_n) + 1e-6


def test_infonce_never_exceeds_the_log_of_its_candidates() -> None:
    for scale in (1.0, 1e3, 1e30):
        score_nn = scale * torch.eye(64)
        assert infonce_bound(score_nn.diagonal(), score_nn).item() <= math.log(64) + 1e-5
        assert math.isfinite(infonce_bound(score_nn.diagonal(), -score_nn))
    assert infonce_bound(score_nn.diagonal(), score_nn).item() == pytest.approx(math.log(64))


def test_scores_of_a_thousand_nats() -> None:
    joint_n, marginal_n = torch.randn(2, 50, generator=generator()) + 1e3
    assert math.isfinite(infonce_bound(joint_n, marginal_n.expand(50, 50)))
    assert nwj_bound(joint_n, -marginal_n).item() == pytest.approx(1e3, rel=1e-3)
    assert nwj_bound(joint_n, marginal_n) == -math.inf  # and not NaN


def test_39_nats_are_beyond_what_a_minibatch_can_show() -> None:
    """d = 20, rho = 0.99: the best critic there is, and yet ln m."""
    x_nd, y_nd = gaussians(128, 20, 0.99)
    score_nn = with_all(log_ratio(20, 0.99), x_nd, y_nd)
    assert information(20, 0.99) == pytest.approx(39.17, abs=0.01)
    assert infonce_bound(score_nn.diagonal(), score_nn).item() == pytest.approx(math.log(128), abs=1e-3)


# What they find


@pytest.mark.parametrize(
    ("d", "rho", "true"), [(2, 0.5, 0.2877), (2, 0.7, 0.6733), (2, 0.9, 1.6607), (20, 0.3, 0.9431)]
)
def test_tight_at_the_log_density_ratio(d: int, rho: float, true: float) -> None:
    assert information(d, rho) == pytest.approx(true, abs=1e-4)
    (x_nd, y_nd), (_, other_nd) = gaussians(100_000, d, rho), gaussians(100_000, d, rho, seed=1)
    joint_n, marginal_n = log_ratio(d, rho)(x_nd, y_nd), log_ratio(d, rho)(x_nd, other_nd)
    error = 4 * (joint_n.std() + marginal_n.exp().std()).item() / math.sqrt(100_000)
    assert dv_bound(joint_n, marginal_n).item() == pytest.approx(true, abs=error)
    assert dv_bound(joint_n + 5, marginal_n + 5).item() == pytest.approx(true, abs=error)
    assert nwj_bound(joint_n + 1, marginal_n + 1).item() == pytest.approx(true, abs=error)
    assert nwj_bound(joint_n + 3, marginal_n + 3).item() < true - 1


def test_infonce_rises_to_the_truth_with_its_candidates() -> None:
    """The mean over many draws: below the truth, by less the more candidates there are."""
    found = []
    for m in (4, 16, 128):
        x_nd, y_nd = gaussians(128 * 64, 2, 0.9)
        score_nm = torch.cat(
            [
                with_all(log_ratio(2, 0.9), x, y)
                for x, y in zip(x_nd[: 16 * m].split(m), y_nd[: 16 * m].split(m), strict=True)
            ]
        )
        own = torch.arange(m).repeat(16).unsqueeze(-1)
        found.append(infonce_bound(score_nm.gather(-1, own).squeeze(-1), score_nm).item())
    assert found[0] < found[1] < found[2]
    assert found[0] < math.log(4)
    assert found[2] == pytest.approx(information(2, 0.9), rel=0.1)


def trained(name: str, rho: float, steps: int = 500) -> float:
    """Bound on other pairs than those that trained the critic."""
    critic = MlpCritic(2, 2, 64, 2, generator())
    optimiser = torch.optim.Adam(critic.parameters(), lr=2e-3)
    size = 32 if name == "infonce" else 64  # whose square is scored
    average, order = LogMovingAverage(0.01), generator(1)
    x_nd, y_nd = gaussians(20_000, 2, rho)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        joint_n = critic(x, y)
        if name == "infonce":
            return -infonce_bound(joint_n, with_all(critic, x, y))
        marginal_n = critic(x, y[torch.randperm(len(y), generator=order)])
        if name == "nwj":
            return -nwj_bound(joint_n, marginal_n)
        return critic_objective(joint_n, marginal_n, average.update(log_mean_exp(marginal_n.detach())))

    for _ in range(steps):
        rows = torch.randint(len(x_nd), (size,), generator=order)
        optimiser.zero_grad()
        torch.autograd.backward(loss(x_nd[rows], y_nd[rows]))
        optimiser.step()
    with torch.no_grad():
        x_nd, y_nd = gaussians(20_000, 2, rho, seed=2)
        if name == "infonce":
            score_nm = with_all(critic, x_nd[:500], y_nd[:500])
            return infonce_bound(score_nm.diagonal(), score_nm).item()
        bound = {"dv": dv_bound, "nwj": nwj_bound}[name]
        return bound(critic(x_nd, y_nd), critic(x_nd, y_nd.roll(1, 0))).item()


@pytest.mark.parametrize("name", ["dv", "nwj", "infonce"])
def test_a_trained_critic_finds_what_is_there(name: str) -> None:
    true = information(2, 0.7)
    assert 0.85 * true < trained(name, 0.7) < 1.05 * true


@pytest.mark.parametrize("name", ["dv", "nwj", "infonce"])
def test_a_trained_critic_finds_nothing_where_nothing_is(name: str) -> None:
    assert trained(name, 0.0, steps=400) == pytest.approx(0.0, abs=0.03)
