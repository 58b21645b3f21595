import pytest
import torch
from torch import Tensor, nn

from bie.models.layers import BatchNorm, HiddenLayers, Linear
from bie.models.noise import Noise


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_linear_is_initialised_as_in_torch() -> None:
    layer = Linear(400, 300, generator())
    for parameter in (layer.weight, layer.bias):
        assert parameter.abs().max().item() <= 1 / 20
        assert parameter.std().item() == pytest.approx(
            1 / 20 / 3**0.5, rel=0.1
        )  # uniform within ±1/sqrt(400)


def test_initial_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (Linear(4, 3, generator(seed)).weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_norm_is_torchs() -> None:
    ours, theirs = BatchNorm(6), nn.BatchNorm1d(6, momentum=0.01, eps=0.001)
    weight, bias = torch.randn(6, generator=generator(1)), torch.randn(6, generator=generator(2))
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)
    for step in range(5):
        same_output_and_gradient(ours, theirs, torch.randn(17, 6, generator=generator(step)) * 3 + 1)
    assert theirs.running_mean is not None
    assert theirs.running_var is not None
    torch.testing.assert_close(ours.running_mean[0], theirs.running_mean)
    torch.testing.assert_close(ours.running_variance[0], theirs.running_var)
    ours.eval()
    theirs.eval()
    same_output_and_gradient(ours, theirs, torch.randn(17, 6, generator=generator(9)))


def same_output_and_gradient(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    outputs, gradients = [], []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        outputs.append(module(leaf))
        gradients.append(torch.autograd.grad(outputs[-1].square().sum(), [leaf, *module.parameters()]))
    torch.testing.assert_close(outputs[0], outputs[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one.flatten(), other.flatten(), rtol=1e-5, atol=1e-4)


def test_batch_norm_treats_leading_axes_apart() -> None:
    x = torch.randn(3, 11, 6, generator=generator())
    together = BatchNorm(6)
    together.running_mean, together.running_variance = torch.zeros(3, 1, 6), torch.ones(3, 1, 6)
    y = together(x)
    for r in range(3):
        alone = BatchNorm(6)
        torch.testing.assert_close(y[r], alone(x[r]))
        torch.testing.assert_close(together.running_variance[r], alone.running_variance)


def test_dropout_acts_in_training_and_keeps_the_mean() -> None:
    layers = HiddenLayers(5, 2000, 1, generator(), dropout=0.25)
    x = torch.randn(50, 5, generator=generator(1))
    full, dropped = layers(x), layers(x, noise=Noise(generator(2)))
    kept = dropped != 0
    assert kept.sum().item() / (full != 0).sum().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(dropped[kept], full[kept] / 0.75)
    layers.eval()
    torch.testing.assert_close(layers(x, noise=Noise(generator(2))), layers(x))


def test_covariates_enter_the_first_layer_alone_if_asked() -> None:
    layers = HiddenLayers(5, 7, 3, generator(), n_covariates=2, deep=False).eval()
    assert [linear.weight.shape for linear in layers.linears] == [(7, 7), (7, 7), (7, 7)]
    x, covariates = torch.randn(4, 5, generator=generator(1)), torch.eye(2).repeat(2, 1)
    assert not torch.allclose(layers(x, covariates), layers(x, covariates.flip(0)))
    with torch.no_grad():
        layers.linears[0].get_parameter("weight")[-2:] = 0
    assert torch.equal(layers(x, covariates), layers(x, covariates.flip(0)))


def test_covariates_enter_every_layer() -> None:
    layers = HiddenLayers(5, 7, 3, generator(), n_covariates=2)
    assert [linear.weight.shape for linear in layers.linears] == [(7, 7), (9, 7), (9, 7)]
    x, covariates = torch.randn(4, 5, generator=generator(1)), torch.eye(2).repeat(2, 1)
    layers.eval()
    with torch.no_grad():
        layers.linears[0].get_parameter("weight")[-2:] = (
            0  # the last layer alone still tells the batches apart
        )
        layers.linears[1].get_parameter("weight")[-2:] = 0
    assert not torch.allclose(layers(x, covariates), layers(x, covariates.flip(0)))
