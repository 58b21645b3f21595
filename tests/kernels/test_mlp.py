"""The kernel in single precision against the definition in double precision."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from bie.kernels import mlp

SHAPES = [
    (256, (12, 128, 128, 1)),
    (128, (10, 64, 64, 2)),
    (1, (1, 1)),
    (7, (3, 5)),
    (9, (33, 17, 31, 4)),
    (8, (1, 32, 1, 6)),
    (50, (5, 100, 3, 7)),
]
"""Whole panels and tiles, and what is left of them; narrow layers at either end and between."""


def network(widths: tuple[int, ...], n: int = 5) -> tuple[Tensor, Tensor]:
    """Inputs and parameters."""
    random = torch.Generator().manual_seed(0)
    size = sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))
    x, parameters = (torch.randn(shape, generator=random) for shape in ((n, widths[0]), (size,)))
    return x.requires_grad_(), (parameters * max(widths) ** -0.5).requires_grad_()


def off(one: Tensor, exact: Tensor) -> float:
    """Distance relative to the norm of what is right."""
    return float(((one - exact).norm() / exact.norm()).item())


def doubled(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize(("n", "widths"), SHAPES)
def test_value_and_gradient_are_those_of_the_definition(n: int, widths: tuple[int, ...]) -> None:
    inputs = network(widths, n)
    exact = doubled(*inputs)
    value, expected = mlp.mlp(*inputs, widths), mlp.plain(exact[0], exact[1], widths)
    assert value.grad_fn is not None
    assert "Mlp" in value.grad_fn.name()
    assert off(value, expected) < 1e-6
    upstream = torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    by = torch.autograd.grad(expected, exact, upstream.double())
    for one, right in zip(torch.autograd.grad(value, inputs, upstream), by, strict=True):
        assert one.dtype == torch.float32
        assert off(one, right) < 1e-5


def test_the_units_are_accurate_near_zero_and_far_below() -> None:
    x = torch.cat((-torch.logspace(-30, 2, 999), torch.logspace(-30, 2, 999), torch.zeros(1)))[:, None]
    parameters = torch.tensor([1.0, 0.0, 1.0, 0.0])  # two layers that change nothing
    found, expected = mlp.mlp(x, parameters, (1, 1, 1)), torch.nn.functional.elu(x.double())
    torch.testing.assert_close(found.double(), expected, rtol=4e-7, atol=0)


def test_strided_inputs_and_gradients() -> None:
    widths = (6, 40, 3)
    x, parameters = network(widths, 11)
    strided = x.detach().mT.contiguous().mT.requires_grad_()
    value, expected = mlp.mlp(strided, parameters, widths), mlp.plain(x, parameters, widths)
    torch.testing.assert_close(value, expected)
    (found,) = torch.autograd.grad(value.sum(), strided)  # an expanded scalar
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum(), x)[0])


@pytest.mark.parametrize("needed", ["x", "parameters"])
def test_a_gradient_is_made_only_where_it_is_needed(needed: str) -> None:
    widths = (6, 40, 3)
    x, parameters = network(widths)
    both = torch.autograd.grad(mlp.mlp(x, parameters, widths).sum(), (x, parameters))
    if needed == "x":
        (found,) = torch.autograd.grad(mlp.mlp(x, parameters.detach(), widths).sum(), x)
    else:
        (found,) = torch.autograd.grad(mlp.mlp(x.detach(), parameters, widths).sum(), parameters)
    assert torch.equal(found, both[needed == "parameters"])


def test_no_cells() -> None:
    widths = (6, 40, 3)
    _, parameters = network(widths)
    value = mlp.mlp(torch.empty(0, 6), parameters, widths)
    assert value.shape == (0, 3)
    assert not torch.autograd.grad(value.sum(), parameters)[0].any()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("widths", [(3, 40, 40, 1), (3, 40, 40, 9)])
def test_what_is_not_finite_is_not_hidden(bad: float, widths: tuple[int, ...]) -> None:
    for where in range(2):
        broken = [tensor.detach().clone() for tensor in network(widths)]
        for place in (0, -1):
            broken[where].view(-1)[place] = bad
        inputs = [tensor.requires_grad_() for tensor in broken]
        value, expected = mlp.mlp(inputs[0], inputs[1], widths), mlp.plain(inputs[0], inputs[1], widths)
        assert torch.equal(value.isfinite(), expected.isfinite())
        for one, right in zip(
            torch.autograd.grad(value.sum(), inputs), torch.autograd.grad(expected.sum(), inputs), strict=True
        ):
            assert (one.isfinite() <= right.isfinite()).all()


def test_other_precision_and_several_networks_take_the_plain_path() -> None:
    widths = (3, 4, 1)
    x, parameters = network(widths)
    stacked = parameters.detach().expand(2, -1).requires_grad_()
    for inputs in ((x.double(), parameters.double()), (x, stacked), (x.expand(2, 5, 3), parameters)):
        value = mlp.mlp(*inputs, widths)
        assert value.grad_fn is not None
        assert "Mlp" not in value.grad_fn.name()


def test_several_networks_in_one() -> None:
    widths = (3, 4, 2)
    (x, one), other = network(widths), torch.linspace(-1, 1, 26)
    together = mlp.mlp(x, torch.stack((one, other)), widths)
    torch.testing.assert_close(together, torch.stack([mlp.mlp(x, vector, widths) for vector in (one, other)]))


def test_the_same_bits_each_time() -> None:
    inputs = network((12, 128, 128, 1), 256)
    results = [
        (value := mlp.mlp(*inputs, (12, 128, 128, 1)), *torch.autograd.grad(value.sum(), inputs))
        for _ in range(2)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_inputs_of_another_width_are_refused() -> None:
    x, parameters = network((4, 8, 1))
    with pytest.raises(ValueError, match="3 columns for a network of 4 inputs"):
        mlp.mlp(x[:, :3], parameters, (4, 8, 1))
