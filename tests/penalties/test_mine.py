from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor
from torch.nn.functional import one_hot

from bie.metrics.dependence import mi_ross
from bie.models.noise import Noise
from bie.mutual_information.critics import MlpCritic
from bie.mutual_information.estimators import dv_bound, nwj_bound
from bie.penalties import build_penalty
from bie.penalties.mine import Mine, MinePenalty
from bie.seeds import Streams


class FixedOrder(Noise):
    """Always the same permutation: the reversed one."""

    def __init__(self) -> None:
        super().__init__(torch.Generator())

    def permutation(self, n: int) -> Tensor:
        return torch.arange(n).flip(0)


def settings(**changes: Any) -> Mine:
    values = {
        "scale": 100.0,
        "critic": "mlp",
        "n_hidden": 64,
        "n_layers": 2,
        "batch_input": "onehot",
        "latent": "mean",
        "critic_training": "adam",
        "estimator": "dv",
        "lr": 1e-3,
        "steps": 5,
        "ema": 0.01,
        "warm_start": 0,
    }
    return Mine.model_validate(values | changes)


def build(n_latent: int, n_batches: int, **changes: Any) -> MinePenalty:
    penalty = build_penalty(("mine", settings(**changes)), n_latent, n_batches, Streams(0))
    assert isinstance(penalty, MinePenalty)
    return penalty


def mlp(penalty: MinePenalty) -> MlpCritic:
    assert isinstance(penalty.critic, MlpCritic)
    return penalty.critic


def minibatch(n: int = 12) -> tuple[Tensor, Tensor]:
    z_nd = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    return z_nd.requires_grad_(), torch.arange(n) % 5 % 2


def scores(penalty: MinePenalty, z_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, Tensor]:
    """Joint and marginal scores under `FixedOrder`, by separate passes."""
    batch_nb = one_hot(batch_n, 2).float()
    return penalty.critic(z_nd, batch_nb), penalty.critic(z_nd, batch_nb.flip(0))


def test_no_penalty() -> None:
    assert build_penalty(None, 10, 2, Streams(0)) is None


def test_settings_reach_the_training_loop() -> None:
    penalty = build(3, 2, steps=7, lr=0.5)
    assert (penalty.critic_steps, penalty.critic_lr) == (7, 0.5)
    assert set(penalty.parameters()) == set(penalty.critic.parameters())


def test_critic_gradient_equals_the_explicit_formula() -> None:
    """-mean dT_joint + sum e^T dT_marginal / (n A), each dT by itself; A: the first minibatch's mean."""
    penalty, (z_nd, batch_n) = build(3, 2), minibatch()
    penalty.critic_loss(z_nd.detach(), batch_n, FixedOrder()).backward()  # type: ignore[no-untyped-call]
    weight = mlp(penalty).network.vector
    joint_n, marginal_n = scores(penalty, z_nd, batch_n)
    n, average = len(z_nd), marginal_n.exp().mean().item()
    expected = torch.zeros_like(weight)
    for row in range(n):
        expected -= torch.autograd.grad(joint_n[row], weight, retain_graph=True)[0] / n
        slope = torch.autograd.grad(marginal_n[row], weight, retain_graph=True)[0]
        expected += marginal_n[row].exp().item() * slope / (n * average)
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)


def test_critic_gradient_uses_the_average_over_minibatches() -> None:
    penalty, (z_nd, batch_n) = build(3, 2, ema=0.25), minibatch()
    with torch.no_grad():
        first = scores(penalty, 5 * z_nd, batch_n)[1].exp().mean()
        second = scores(penalty, z_nd, batch_n)[1].exp().mean()
    penalty.critic_loss(5 * z_nd.detach(), batch_n, FixedOrder())
    value = penalty.critic_loss(z_nd.detach(), batch_n, FixedOrder())
    average = (0.75 * first + second) / 1.75
    joint_n, marginal_n = scores(penalty, z_nd, batch_n)
    torch.testing.assert_close(value, marginal_n.exp().mean() / average - joint_n.mean())


def sharpened(penalty: MinePenalty, factor: float) -> MinePenalty:
    """The critic with scores `factor` times as far apart."""
    with torch.no_grad():
        mlp(penalty).network.layers[2][0].mul_(factor)
    return penalty


def test_encoder_loss_is_the_scaled_bound_with_gradient_through_both_terms() -> None:
    penalty, (z_nd, batch_n) = sharpened(build(3, 2), 0.2), minibatch()
    loss, terms = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    joint_n, marginal_n = scores(penalty, z_nd, batch_n)
    expected = joint_n.mean() - marginal_n.exp().mean().log()
    assert expected > 0
    torch.testing.assert_close(loss, 100 * expected)
    torch.testing.assert_close(terms["mine"], expected.detach())
    assert not terms["mine"].requires_grad
    gradient = torch.autograd.grad(loss, z_nd)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(100 * expected, z_nd)[0])


def test_encoder_is_not_paid_for_an_estimate_below_zero() -> None:
    penalty, (z_nd, batch_n) = sharpened(build(3, 2), -0.2), minibatch()
    loss, terms = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    assert terms["mine"] < 0
    assert loss.item() == 0.0
    assert not torch.autograd.grad(loss, z_nd)[0].any()


def test_encoder_loss_leaves_the_critic_alone() -> None:
    penalty, (z_nd, batch_n) = build(3, 2), minibatch()
    loss, _ = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    loss.backward()  # type: ignore[no-untyped-call]
    assert z_nd.grad is not None
    assert all(parameter.grad is None for parameter in penalty.parameters())
    assert penalty.average.n_updates == 0


def test_scale_zero_pulls_at_nothing() -> None:
    penalty, (z_nd, batch_n) = build(3, 2, scale=0.0), minibatch()
    loss, terms = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    assert loss.item() == 0.0
    assert terms["mine"].item() != 0.0


def test_scores_of_a_thousand_nats_stay_finite() -> None:
    penalty, (z_nd, batch_n) = build(3, 2), minibatch()
    sharpened(penalty, 5e4)
    assert max(score_n.abs().max() for score_n in scores(penalty, z_nd, batch_n)) > 1e3
    for _ in range(3):
        critic_loss = penalty.critic_loss(z_nd.detach(), batch_n, FixedOrder())
        encoder_loss, _ = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
        (critic_loss + encoder_loss).backward()  # type: ignore[no-untyped-call]
        sharpened(penalty, -1)  # from one extreme to the other
    assert torch.isfinite(critic_loss)
    assert torch.isfinite(encoder_loss)
    tensors = [z_nd.grad, *(parameter.grad for parameter in penalty.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in tensors)


# Other bounds, critics and inputs


def test_nwj_is_climbed_and_descended_as_it_is() -> None:
    penalty, (z_nd, batch_n) = sharpened(build(3, 2, estimator="nwj"), 0.2), minibatch()
    with torch.no_grad():
        mlp(penalty).network.layers[-1][1].add_(1)  # the constant at which this bound is tight
    joint_n, marginal_n = scores(penalty, z_nd, batch_n)
    expected = joint_n.mean() - (marginal_n - 1).exp().mean()
    assert expected > 0
    torch.testing.assert_close(penalty.critic_loss(z_nd, batch_n, FixedOrder()), -expected)
    torch.testing.assert_close(penalty.encoder_loss(z_nd, batch_n, FixedOrder())[0], 100 * expected)


def test_infonce_takes_each_cell_with_every_batch() -> None:
    penalty, (z_nd, batch_n) = sharpened(build(3, 2, estimator="infonce"), 0.2), minibatch()
    every_nn = torch.stack(
        [penalty.critic(z_nd, one_hot(code, 2).float().expand(12, -1)) for code in batch_n], -1
    )
    expected = (every_nn.diagonal() - every_nn.exp().mean(-1).log()).mean()
    assert abs(expected) > 1e-4
    torch.testing.assert_close(penalty.critic_loss(z_nd, batch_n, FixedOrder()), -expected)
    loss, terms = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    torch.testing.assert_close(loss, 100 * expected.relu())
    torch.testing.assert_close(terms["mine"], expected.detach())


def test_raw_input_is_the_code_as_a_number() -> None:
    penalty, (z_nd, _) = build(3, 3, batch_input="raw"), minibatch()
    batch_n = torch.arange(12) % 3
    codes_n1 = batch_n.float().unsqueeze(-1)
    expected = dv_bound(penalty.critic(z_nd, codes_n1), penalty.critic(z_nd, codes_n1.flip(0)))
    assert mlp(penalty).network.widths[:2] == (4, 64)
    torch.testing.assert_close(
        penalty.encoder_loss(z_nd, batch_n, FixedOrder())[1]["mine"], expected.detach()
    )


@pytest.mark.parametrize("estimator", ["dv", "nwj"])
def test_a_separable_critic_takes_each_cell_with_every_batch(estimator: str) -> None:
    """Bound, and gradient of the critic under the first average, against all pairs of cells one by one."""
    penalty, (z_nd, batch_n) = build(3, 2, critic="separable", estimator=estimator), minibatch()
    (weight,) = penalty.parameters()
    every_nn = torch.stack([penalty.critic(z_nd)[:, code] for code in batch_n], -1)
    expected = {"dv": dv_bound, "nwj": nwj_bound}[estimator](every_nn.diagonal(), every_nn.flatten())
    torch.testing.assert_close(
        penalty.encoder_loss(z_nd, batch_n, FixedOrder())[1]["mine"], expected.detach()
    )
    loss = penalty.critic_loss(z_nd, batch_n, FixedOrder())
    torch.testing.assert_close(
        torch.autograd.grad(loss, (weight, z_nd)), torch.autograd.grad(-expected, (weight, z_nd))
    )


def test_a_separable_critic_draws_nothing() -> None:
    penalty, (z_nd, batch_n) = build(3, 2, critic="separable"), minibatch()
    noise = Noise(torch.Generator())
    before = noise.generator.get_state()
    penalty.critic_loss(z_nd, batch_n, noise)
    penalty.encoder_loss(z_nd, batch_n, noise)
    assert torch.equal(noise.generator.get_state(), before)


@pytest.mark.parametrize("critic", ["separable", "mine_net", "mine_net2", "mine_net3", "mine_net4"])
@pytest.mark.parametrize("estimator", ["dv", "nwj", "infonce"])
def test_every_critic_under_every_bound(critic: str, estimator: str) -> None:
    penalty, (z_nd, batch_n) = build(3, 2, critic=critic, estimator=estimator), minibatch()
    penalty.critic_loss(z_nd.detach(), batch_n, FixedOrder()).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in penalty.parameters())
    before = {name: tensor.clone() for name, tensor in penalty.state_dict().items()}
    loss, _ = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
    torch.autograd.backward(loss)
    assert z_nd.grad is not None
    assert z_nd.grad.isfinite().all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in penalty.state_dict().items())


# Warm start


def test_the_encoder_feels_nothing_before_the_warm_start_is_over() -> None:
    (z_nd, batch_n), plain = minibatch(), sharpened(build(3, 2), 0.2)
    penalty = sharpened(build(3, 2, warm_start=2), 0.2)
    whole, terms = plain.encoder_loss(z_nd, batch_n, FixedOrder())
    assert whole > 0
    for penalty.epoch in (0, 1):
        loss, early = penalty.encoder_loss(z_nd, batch_n, FixedOrder())
        assert loss.item() == 0
        assert not torch.autograd.grad(loss, z_nd)[0].any()
        assert torch.equal(early["mine"], terms["mine"])  # the history shows what the critic knows
        assert penalty.critic_loss(z_nd, batch_n, FixedOrder()) != 0
    penalty.epoch = 2
    assert torch.equal(penalty.encoder_loss(z_nd, batch_n, FixedOrder())[0], whole)


# Which settings act


def test_it_sees_means_or_samples() -> None:
    z_nd, _ = minibatch()
    mean_nd = z_nd.detach() + 1
    assert build(3, 2, latent="sample").critic_input(z_nd, mean_nd) is z_nd
    assert (
        build(3, 2, latent="mean").critic_input(z_nd, mean_nd).grad_fn is None
    )  # of z_nd, which has gradient


def test_what_it_sees_is_standardised() -> None:
    """Of means the scale says nothing, and a dimension that hardly varies is not blown up."""
    z_nd, batch_n = minibatch()
    mean_nd = z_nd.detach().clone().requires_grad_()
    penalty = build(3, 2, latent="mean")
    seen = penalty.critic_input(z_nd, mean_nd)
    torch.testing.assert_close(seen.mean(0), torch.zeros(seen.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(0, correction=0), torch.ones(seen.shape[1]), atol=1e-3, rtol=0)
    torch.testing.assert_close(penalty.critic_input(z_nd, 100 * mean_nd - 3), seen, atol=1e-3, rtol=1e-3)
    assert penalty.critic_input(z_nd, 1e-5 * mean_nd).abs().max() < 0.1
    loss, _ = penalty.encoder_loss(seen, batch_n, FixedOrder())
    (gradient,) = torch.autograd.grad(loss, mean_nd)
    torch.testing.assert_close(gradient.sum(0), torch.zeros(seen.shape[1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "inactive"),
    [
        ({}, set()),
        ({"critic": "separable"}, {"batch_input"}),
        ({"critic": "mine_net"}, set()),
        ({"critic": "mine_net3"}, {"n_layers"}),
        ({"critic": "mine_net4", "estimator": "nwj"}, {"n_hidden", "n_layers", "ema"}),
        ({"estimator": "infonce"}, {"ema"}),
        ({"critic_training": "none"}, {"latent", "estimator", "lr", "steps", "ema", "warm_start"}),
    ],
)
def test_settings_without_effect_are_named(changes: dict[str, Any], inactive: set[str]) -> None:
    assert settings(**changes).inactive().keys() == inactive


# What a trained critic finds


def train_critic(penalty: MinePenalty, z_nd: Tensor, batch_n: Tensor, steps: int) -> None:
    """As `bie.training.fit` does between the steps of the model, here with the model at rest."""
    optimiser = torch.optim.Adam(penalty.parameters(), lr=penalty.critic_lr, fused=True)
    order, noise = torch.Generator().manual_seed(0), Noise(torch.Generator().manual_seed(1))
    for _ in range(steps):
        rows = torch.randint(len(z_nd), (128,), generator=order)
        optimiser.zero_grad()
        penalty.critic_loss(z_nd[rows], batch_n[rows], noise).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@torch.no_grad()
def estimate(penalty: MinePenalty, z_nd: Tensor, batch_n: Tensor) -> float:
    """Bound on other cells than those that trained the critic."""
    noise = Noise(torch.Generator().manual_seed(2))
    _, terms = penalty.encoder_loss(z_nd, batch_n, noise)
    return float(terms["mine"])


def gaussian_classes(p: list[float], mean: list[float], sd: list[float], n: int) -> tuple[Tensor, Tensor]:
    """One informative dimension among four."""
    rng = np.random.default_rng(0)
    batch_n = rng.choice(len(p), size=n, p=p)
    z_nd = rng.normal(size=(n, 4))
    z_nd[:, 2] = np.array(mean)[batch_n] + np.array(sd)[batch_n] * z_nd[:, 2]
    return torch.from_numpy(z_nd).float(), torch.from_numpy(batch_n)


def true_information(p: list[float], mean: list[float], sd: list[float]) -> float:
    def surprise(y: float) -> float:
        density = sum(a * norm.pdf(y, b, c) for a, b, c in zip(p, mean, sd, strict=True))
        return float(-density * np.log(density))

    entropy = quad(surprise, -12, 12, points=mean, limit=200)[0]
    noise = sum(a * np.log(c * np.sqrt(2 * np.pi * np.e)) for a, c in zip(p, sd, strict=True))
    return float(entropy - noise)


CLASSES = [([0.4, 0.6], [-1.0, 1.0], [1.0, 1.0]), ([0.2, 0.3, 0.5], [-2.0, 0.0, 2.0], [0.6, 1.0, 1.0])]


@pytest.mark.parametrize("critic", ["mlp", "separable"])
@pytest.mark.parametrize(("p", "mean", "sd"), CLASSES)
def test_trained_critic_finds_the_true_information(
    p: list[float], mean: list[float], sd: list[float], critic: str
) -> None:
    z_nd, batch_n = gaussian_classes(p, mean, sd, 16_000)
    penalty = build(4, len(p), critic=critic)
    assert estimate(penalty, z_nd[8000:], batch_n[8000:]) < 0.05  # knows nothing yet
    train_critic(penalty, z_nd[:8000], batch_n[:8000], 800)
    found = estimate(penalty, z_nd[8000:], batch_n[8000:])
    assert found == pytest.approx(true_information(p, mean, sd), rel=0.1)


@pytest.mark.parametrize("estimator", ["nwj", "infonce"])
def test_the_other_bounds_find_it_too(estimator: str) -> None:
    p, mean, sd = CLASSES[1]
    z_nd, batch_n = gaussian_classes(p, mean, sd, 16_000)
    penalty = build(4, len(p), estimator=estimator)
    train_critic(penalty, z_nd[:8000], batch_n[:8000], 1000)
    found = estimate(penalty, z_nd[8000:], batch_n[8000:])
    assert found == pytest.approx(true_information(p, mean, sd), rel=0.1)


def leaking_latent(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Three cell types in ten dimensions; the batch shifts them and swells one."""
    rng = np.random.default_rng(0)
    label_n, batch_n = rng.integers(3, size=n), (rng.random(n) < 0.33).astype(np.int64)
    z_nd = rng.normal(size=(n, 10)) + 3 * np.eye(3, 10)[label_n]
    z_nd[:, 5] += 2 * batch_n
    z_nd[:, 6] *= np.where(label_n == 1, 1 + 2 * batch_n, 1)
    return z_nd.astype(np.float32), batch_n


def test_agrees_with_nearest_neighbours_on_a_leaking_latent() -> None:
    z_nd, batch_n = leaking_latent(16_000)
    penalty = build(10, 2, critic="separable")
    train_critic(penalty, torch.from_numpy(z_nd[:8000]), torch.from_numpy(batch_n[:8000]), 1000)
    found = estimate(penalty, torch.from_numpy(z_nd[8000:]), torch.from_numpy(batch_n[8000:]))
    assert found == pytest.approx(mi_ross(z_nd[8000:].astype(np.float64), batch_n[8000:]), rel=0.1)


def test_finds_nothing_where_nothing_is() -> None:
    z_nd, batch_n = leaking_latent(16_000)
    batch_n = np.random.default_rng(1).permutation(batch_n)
    penalty = build(10, 2, critic="separable")
    train_critic(penalty, torch.from_numpy(z_nd[:8000]), torch.from_numpy(batch_n[:8000]), 400)
    assert estimate(penalty, torch.from_numpy(z_nd[8000:]), torch.from_numpy(batch_n[8000:])) < 0.01
