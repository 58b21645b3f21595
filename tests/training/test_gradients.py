"""Gradients of a step that a preference weighs, against those of each parameter by itself."""

import copy

import pytest
import torch
from torch import Tensor, nn

from bie.penalties.preference import Preference, Weights
from bie.training.gradients import balanced
from bie.training.learner import Learner, Solo, Start
from bie.training.stacked_learner import Stack

X_ND = torch.randn(7, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


class Autoencoder(nn.Module):
    """A line to two latent numbers and back, of one run or of many."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.decoder, self.encoder = nn.Linear(2, 3).double(), nn.Linear(3, 2).double()
        for parameter in self.parameters():
            parameter.data.normal_(generator=draw)

    def forward(self, x_nd: Tensor) -> tuple[Tensor, Tensor]:
        z_nd = x_nd @ self.encoder.weight.mT + self.encoder.bias.unsqueeze(-2)
        back_nd = z_nd @ self.decoder.weight.mT + self.decoder.bias.unsqueeze(-2)
        return z_nd, (back_nd - x_nd).square().mean((-1, -2))


class Fixed(Preference):
    """Says the same always, and keeps what it was told."""

    def weights(self, losses: Tensor, products: Tensor) -> Weights:
        self.told = losses, products
        share = losses.new_tensor(0.25).expand(losses.shape[:-1])
        return Weights(1 - share, 8 * share, share, share)


def step(learner: Learner, preference: Preference) -> list[Tensor]:
    """With the mean square of the latent numbers as the penalty."""
    z_nd, loss = learner.bind()(X_ND)
    seen_nd = z_nd.detach()
    gradients, facts = balanced(
        learner, preference, loss, seen_nd.square().mean((-1, -2)), [(z_nd, seen_nd / 7)]
    )
    assert facts.keys() == {"removal_share", "angle"}
    return list(gradients)


def by_hand(model: Autoencoder) -> tuple[list[Tensor], list[Tensor]]:
    """Losses, then products as a preference is told them; the step by parameter."""
    z_nd, loss = model(X_ND)
    penalty, parameters = z_nd.square().mean(), dict(model.named_parameters())
    one = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    other = torch.autograd.grad(penalty, list(parameters.values()), allow_unused=True)
    u, v = (torch.cat([by[i].flatten() for i in (2, 3)]) for by in (one, other))
    weighed = [a if b is None else 0.75 * a + 2 * b for a, b in zip(one, other, strict=True)]
    assert [b is None for b in other] == [name.startswith("decoder") for name in parameters]
    return [torch.stack([loss, penalty]), torch.stack([u @ u, u @ v, v @ v])], weighed


def test_the_encoder_has_both_and_the_decoder_the_gradient_of_the_model_alone() -> None:
    model, preference = Autoencoder(0), Fixed(0.5)
    told, expected = by_hand(model)
    for found, gradient in zip(step(Solo(Start(model, None)), preference), expected, strict=True):
        torch.testing.assert_close(found, gradient)
    for given, known in zip(preference.told, told, strict=True):
        torch.testing.assert_close(given, known)


def test_each_run_of_a_stack_has_its_own() -> None:
    models, preference = [Autoencoder(seed) for seed in range(3)], Fixed(0.5)
    hands = [by_hand(copy.deepcopy(model)) for model in models]
    stack = Stack([Start(model, None) for model in models], torch.device("cpu"))
    (found,) = step(stack, preference)
    for place, (told, expected) in enumerate(hands):
        torch.testing.assert_close(found[place], torch.cat([each.flatten() for each in expected]))
        for given, known in zip(preference.told, told, strict=True):
            torch.testing.assert_close(given[place], known)


def test_a_penalty_without_gradient_leaves_the_share_of_the_model() -> None:
    model = Autoencoder(0)
    learner = Solo(Start(model, None))
    _, loss = model(X_ND)
    one = torch.autograd.grad(loss, learner.leaves, retain_graph=True)
    found, _ = balanced(learner, Fixed(0.5), loss, torch.zeros_like(loss.detach()), [])
    for gradient, known, share in zip(found, one, (1, 1, 0.75, 0.75), strict=True):
        torch.testing.assert_close(gradient, share * known)


@pytest.mark.parametrize("prefix", ["encoder.", "decoder."])
def test_marks_are_those_of_the_named_parameters(prefix: str) -> None:
    model = Autoencoder(0)
    solo, stack = Solo(Start(model, None)), Stack([Start(model, None)] * 2, torch.device("cpu"))
    named = [name.startswith(prefix) for name, _ in model.named_parameters()]
    assert [bool(mark) for mark in solo.mask(prefix)] == named
    (marks,) = stack.mask(prefix)
    sizes = [parameter.numel() for parameter in model.parameters()]
    assert marks.tolist() == [float(own) for own, size in zip(named, sizes, strict=True) for _ in range(size)]
