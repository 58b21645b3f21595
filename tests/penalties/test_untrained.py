"""The replica of the 2019 study's defect does what that code did."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.mutual_information.study_critics import MineNet
from bie.penalties import build_penalty
from bie.penalties.mine import Mine
from bie.penalties.untrained import UntrainedPenalty
from bie.seeds import Streams

SETTINGS = {
    "scale": 1000.0,
    "critic": "mine_net",
    "n_hidden": 10,
    "n_layers": 3,
    "batch_input": "raw",
    "latent": "mean",
    "critic_training": "none",
    "estimator": "dv",
    "lr": 1e-3,
    "steps": 5,
    "ema": 0.01,
    "warm_start": 0,
}


def noise(seed: int = 0) -> Noise:
    return Noise(torch.Generator().manual_seed(seed))


def build(**changes: Any) -> UntrainedPenalty:
    penalty = build_penalty(("mine", Mine.model_validate(SETTINGS | changes)), 3, 2, Streams(0))
    assert isinstance(penalty, UntrainedPenalty)
    return penalty


def minibatch(n: int = 12) -> tuple[Tensor, Tensor]:
    z_nd = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    return z_nd.requires_grad_(), torch.arange(n) % 5 % 2


def parts(penalty: UntrainedPenalty, draws: Noise, z_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, Tensor]:
    """Joint and marginal term, both with gradient, of the critic and the order that `draws` gives next."""
    critic, label_n1 = penalty.draw(draws.generator), batch_n.float().unsqueeze(-1)
    order = draws.permutation(len(z_nd))
    return critic(z_nd, label_n1).mean(), critic(z_nd[order], label_n1).exp().mean().log()


def test_value_and_gradient_are_those_of_the_study() -> None:
    """scale * (mean T - ln mean e^T'), whatever its sign, and only the first term pulls at the encoder."""
    penalty, (z_nd, batch_n) = build(), minibatch()
    signs, pulled = set(), 0
    for seed in range(20):
        loss, terms = penalty.encoder_loss(z_nd, batch_n, noise(seed))
        joint, marginal = parts(penalty, noise(seed), z_nd, batch_n)
        torch.testing.assert_close(loss, 1000 * (joint - marginal), rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(1000 * terms["mine"], loss.detach())
        gradient, expected, other = (
            torch.autograd.grad(value, z_nd, retain_graph=True)[0]
            for value in (loss, 1000 * joint, 1000 * (joint - marginal))
        )
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)
        pulled += bool(gradient.any()) and not torch.allclose(gradient, other)
        signs.add(loss.sign().item())
    assert -1 in signs
    assert pulled >= 10  # a critic whose last unit is off for all cells pulls at nothing


def test_another_critic_for_every_minibatch() -> None:
    penalty, stream = build(), noise().generator
    one, other = (list(penalty.draw(stream).parameters()) for _ in range(2))
    drawn = [
        (a, b) for a, b in zip(one, other, strict=True) if len(a.unique()) > 1
    ]  # not batch norm's 1 and 0
    assert len(drawn) >= 4
    assert not any(torch.equal(a, b) for a, b in drawn)
    (z_nd, batch_n), draws = minibatch(), noise()
    first, second = (penalty.encoder_loss(z_nd, batch_n, draws)[0] for _ in range(2))
    assert first != second


def test_no_optimiser_can_hold_it() -> None:
    penalty = build()
    assert penalty.critic_steps == 0
    assert list(penalty.parameters()) == []
    assert not any(parameter.requires_grad for parameter in penalty.draw(noise().generator).parameters())


def test_the_critic_is_that_of_the_settings() -> None:
    critic = build().draw(noise().generator)
    assert isinstance(critic, MineNet)
    assert critic.of_batch.weight.shape == (1, 1)
    assert len(critic.of_latent) == 3
    onehot: Any = build(batch_input="onehot", critic="mine_net3").draw(noise().generator)
    assert onehot.of_batch.weight.shape == (2, 10)


def test_scale_zero_pulls_at_nothing() -> None:
    penalty, (z_nd, batch_n) = build(scale=0.0), minibatch()
    assert not torch.autograd.grad(penalty.encoder_loss(z_nd, batch_n, noise())[0], z_nd)[0].any()


@pytest.mark.parametrize("seed", [0, 1])
def test_same_stream_same_numbers(seed: int) -> None:
    (z_nd, batch_n), penalty = minibatch(), build()
    one, same = (penalty.encoder_loss(z_nd, batch_n, noise(seed))[0] for _ in range(2))
    assert torch.equal(one, same)
