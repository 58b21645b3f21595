import torch

from bie.models.noise import Noise


def noise(seed: int = 0) -> Noise:
    return Noise(torch.Generator().manual_seed(seed))


def test_draws_follow_the_generator() -> None:
    assert torch.equal(noise().normal((4, 3)), noise().normal((4, 3)))
    assert not torch.equal(noise(0).normal((4, 3)), noise(1).normal((4, 3)))
    one = noise()
    assert not torch.equal(one.normal((4, 3)), one.normal((4, 3)))


def test_normal_has_mean_zero_and_variance_one() -> None:
    draws = noise().normal((1000, 100))
    assert abs(draws.mean().item()) < 0.02
    assert abs(draws.var().item() - 1) < 0.02


def test_keep_is_a_mask_of_the_asked_share() -> None:
    mask = noise().keep((1000, 100), 0.3)
    assert set(mask.flatten().tolist()) == {0.0, 1.0}
    assert abs(mask.mean().item() - 0.3) < 0.01


def test_permutation_holds_every_row_once() -> None:
    order = noise().permutation(50)
    assert order.tolist() != list(range(50))
    assert sorted(order.tolist()) == list(range(50))
