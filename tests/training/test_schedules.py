from typing import Any

import pytest
import torch
from torch import Tensor

from bie.config import Kl
from bie.training.schedules import KlSchedule, KlTerm

KL_N = torch.tensor([2.0, 4.0, 12.0])  # mean 6


def schedule(**changed: Any) -> KlSchedule:
    values = {"mode": "warmup", "warmup_epochs": 400, "weight": 1.0, "capacity": 25.0, "gamma": 1000.0}
    return KlSchedule(Kl.model_validate(values | changed))


def term(chosen: KlSchedule, kl_n: Tensor, epoch: int) -> Tensor:
    terms = KlTerm([chosen], (), kl_n)
    terms.begin(epoch)
    return terms.of(kl_n)


@pytest.mark.parametrize(("epoch", "weight"), [(0, 0.0), (1, 0.0025), (200, 0.5), (400, 1.0), (900, 1.0)])
def test_warmup_rises_from_zero_to_the_weight(epoch: int, weight: float) -> None:
    assert schedule().weight(epoch) == pytest.approx(weight)
    assert term(schedule(weight=3.0), KL_N, epoch).item() == pytest.approx(3 * weight * 6)


def test_no_warmup_epochs_is_full_weight_at_once() -> None:
    assert schedule(warmup_epochs=0).weight(0) == 1.0


@pytest.mark.parametrize("epoch", [0, 7, 400])
def test_beta_is_constant(epoch: int) -> None:
    assert term(schedule(mode="beta", weight=4.0), KL_N, epoch).item() == pytest.approx(24)


def test_capacity_pulls_the_kl_to_a_rising_target() -> None:
    capacity = schedule(mode="capacity", gamma=10.0, capacity=12.0, warmup_epochs=4)
    losses = [term(capacity, KL_N, epoch).item() for epoch in range(6)]
    assert losses == pytest.approx([60, 30, 0, 30, 60, 60])  # targets 0, 3, 6, 9, 12, 12 around a KL of 6
    assert capacity.weight(3) == 10.0


@pytest.mark.parametrize("mode", ["warmup", "beta", "capacity"])
@pytest.mark.parametrize("epoch", [0, 100, 300, 500])
def test_the_slope_is_the_derivative_of_the_term(mode: str, epoch: int) -> None:
    """Around a capacity that is first below the KL, then above."""
    chosen, kl_n = schedule(mode=mode, weight=3.0, capacity=12.0), KL_N.clone().requires_grad_()
    (by_kl_n,) = torch.autograd.grad(term(chosen, kl_n, epoch), kl_n)
    assert chosen.slope(kl_n.mean().item(), epoch) / len(KL_N) == pytest.approx(by_kl_n.unique().item())


def test_runs_keep_their_own_terms() -> None:
    """Of all modes side by side, each as alone."""
    modes = [schedule(mode="warmup"), schedule(mode="beta", weight=2.0), schedule(mode="capacity")]
    kl_rn = torch.stack((KL_N, 2 * KL_N, 5 * KL_N))
    together = KlTerm(modes, (3,), kl_rn)
    together.begin(100)
    each = [term(mode, kl_n, 100) for mode, kl_n in zip(modes, kl_rn, strict=True)]
    torch.testing.assert_close(together.of(kl_rn), torch.stack(each))
