"""The kernel in single precision against the definition in double precision."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from bie.kernels.counts import SparseCounts, rows_of
from bie.kernels.layers import Inputs
from bie.kernels.likelihood import Likelihood
from bie.models.likelihoods import nb, zinb

H = 16


class Case(NamedTuple):
    """Counts in both forms, and what the gradients are by."""

    sparse: SparseCounts
    dense: Tensor
    inputs: tuple[Tensor, ...]  # h, log library, log theta, weight and bias of rho, of pi


def case(n: int, g: int, spread: float = 1.0, seed: int = 0, n_hidden: int = H) -> Case:
    random = np.random.default_rng(seed)
    x = random.negative_binomial(0.5, 0.05, size=(n, g)) * (random.random((n, g)) < 0.3)
    x[0] = 0
    x[-1, -1] = 20_000
    draws = [
        random.normal(size=(n, n_hidden)),
        random.normal(6, 1, size=(n, 1)),
        random.normal(0, 2, size=(1, g)),
        *(
            random.normal(size=shape) * spread * n_hidden**-0.5
            for shape in ((n_hidden, g), (1, g), (n_hidden, g), (1, g))
        ),
    ]
    inputs = tuple(torch.tensor(draw, dtype=torch.float32, requires_grad=True) for draw in draws)
    counts = sp.csr_matrix(x.astype(np.float32))
    return Case(rows_of(counts, np.arange(n)), torch.from_numpy(x).double(), inputs)


@dataclass
class Head:
    weight: Tensor
    bias: Tensor


class Fast(NamedTuple):
    """What the kernel makes."""

    value: Tensor
    by: tuple[Tensor, ...]


def fast(
    counts: SparseCounts, inputs: tuple[Tensor, ...], weight_n: Tensor | None = None, gradient: bool = True
) -> Fast:
    """Value, and gradient of its weighted sum by all inputs, NaN where none is asked for."""
    places = [Inputs(t.detach().clone(), torch.full_like(t, torch.nan)) for t in inputs]
    parameters = [place.x.mT.contiguous().mT for place in places[2:]]  # gene by gene
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, torch.nan)
    log_theta, rho, pi = (
        parameters[0],
        Head(*parameters[1:3]),
        Head(*parameters[3:]) if parameters[3:] else None,
    )
    weight_n = torch.ones(len(counts)) if weight_n is None else weight_n
    kernel = Likelihood(places[0], places[1], log_theta, rho, pi, weight_n)
    kernel.forward(counts, gradient)
    gradients = [parameter.grad for parameter in parameters]
    return Fast(
        kernel.value, (*(place.grad_x for place in places[:2]), *(g for g in gradients if g is not None))
    )


def defined(x: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    h, log_library, log_theta, rho, rho_bias, *pi = inputs
    mu = log_library.exp() * (h @ rho + rho_bias).softmax(-1)
    theta = log_theta.exp()
    return (zinb(x, mu, theta, h @ pi[0] + pi[1]) if pi else nb(x, mu, theta)).sum(-1)


def doubled(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(t.detach().double().requires_grad_() for t in inputs)


def off(one: Tensor, exact: Tensor) -> float:
    """Distance relative to the norm of what is right."""
    return float(((one - exact).norm() / exact.norm()).item())


@pytest.mark.parametrize("n_inputs", [7, 5], ids=["zinb", "nb"])
@pytest.mark.parametrize("shape", [(2, 3), (5, 63), (16, 256), (9, 1000)])
@pytest.mark.parametrize("spread", [1.0, 6.0])
@pytest.mark.parametrize("weights", ["equal", "own"])
def test_value_and_gradient_are_those_of_the_definition(
    n_inputs: int, shape: tuple[int, int], spread: float, weights: str
) -> None:
    """To 1e-6 and 1e-5, or where single precision has less to give, as closely as torch's own."""
    sparse, dense, inputs = case(*shape, spread)
    inputs = inputs[:n_inputs]
    upstream = torch.full((shape[0],), 0.3) if weights == "equal" else torch.arange(1.0, shape[0] + 1)
    exact, (value, fast_grads) = doubled(inputs), fast(sparse, inputs, upstream)
    expected, plain = defined(dense, exact), defined(dense.float(), inputs)
    assert off(value, expected) < max(1e-6, 4 * off(plain, expected))
    grads = torch.autograd.grad(expected, exact, upstream.double())
    plain_grads = torch.autograd.grad(plain, inputs, upstream)
    for right, one, other in zip(grads, fast_grads, plain_grads, strict=True):
        assert one.shape == right.shape
        assert one.dtype == torch.float32
        assert off(one, right) < max(1e-5, 4 * off(other, right))


def test_evaluation_makes_the_value_alone() -> None:
    sparse, _, inputs = case(5, 63)
    value, grads = fast(sparse, inputs, gradient=False)
    torch.testing.assert_close(value, fast(sparse, inputs).value)
    assert all(gradient.isnan().all() for gradient in grads)


def test_weights_out_of_order_are_refused() -> None:
    sparse, _, inputs = case(5, 63)
    h, library = (Inputs(t.detach(), torch.empty_like(t)) for t in inputs[:2])
    rho = Head(*(t.detach() for t in inputs[3:5]))  # unit by unit
    with pytest.raises(ValueError, match="strides"):
        Likelihood(h, library, inputs[2].detach(), rho, None, torch.ones(5)).forward(sparse, gradient=False)


def test_the_same_bits_each_time() -> None:
    sparse, _, inputs = case(9, 1000)
    results = [(found.value, *found.by) for found in (fast(sparse, inputs), fast(sparse, inputs))]
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("pi", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("log_library", [-14.0, 14.0])
def test_extremes_stay_finite(pi: float, log_library: float) -> None:
    x = torch.tensor([[0.0, 1.0, 20_000.0], [0.0, 0.0, 0.0]])
    counts = rows_of(sp.csr_matrix(x.numpy()), np.arange(2))
    shapes = {(2, 1): 0.0, (2, 1, 1): log_library}
    h, library = (torch.full(shape[:2], value) for shape, value in shapes.items())
    log_theta, zeros = torch.tensor([[1e-3, 1.0, 1e4]]).log(), torch.zeros(1, 3)
    inputs = tuple(
        t.clone().requires_grad_()
        for t in (h, library, log_theta, zeros, zeros, zeros, torch.full((1, 3), pi))
    )
    value, grads = fast(counts, inputs)
    torch.testing.assert_close(value.double(), defined(x.double(), doubled(inputs)), rtol=1e-5, atol=1e-4)
    assert all(gradient.isfinite().all() for gradient in grads)


@pytest.mark.parametrize(
    ("where", "bad"),
    [
        (where, bad)
        for where in range(7)
        for bad in (torch.nan, torch.inf, -torch.inf)
        if (where, bad) != (2, -torch.inf)  # an inverse dispersion of 0, which is finite
    ],
)
def test_what_is_not_finite_is_not_hidden(where: int, bad: float) -> None:
    """Neither in the value of its cell nor in a gradient."""
    sparse, dense, inputs = case(5, 63)
    inputs[where].data.view(-1)[-1] = bad
    exact, (value, fast_grads) = doubled(inputs), fast(sparse, inputs)
    expected = defined(dense, exact)
    assert (value.isfinite() <= expected.isfinite()).all()
    for one, right in zip(fast_grads, torch.autograd.grad(expected.sum(), exact), strict=True):
        assert one.isfinite().all() <= right.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 48, 4), (9, 49, 5), (128, 131, 128), (3, 700, 257)])
def test_any_number_of_cells_genes_and_units(shape: tuple[int, int, int]) -> None:
    n, g, h = shape
    sparse, dense, inputs = case(n, g, n_hidden=h)
    exact, (value, fast_grads) = doubled(inputs), fast(sparse, inputs)
    expected, plain = defined(dense, exact), defined(dense.float(), inputs)
    assert off(value, expected) < max(1e-6, 4 * off(plain, expected))
    grads, plain_grads = (torch.autograd.grad(v.sum(), i) for v, i in ((expected, exact), (plain, inputs)))
    for right, one, other in zip(grads, fast_grads, plain_grads, strict=True):
        assert (one - right).norm() <= max(1e-5 * right.norm(), 4 * (other - right).norm())


def test_counts_of_any_size() -> None:
    """Those with gamma functions in a table, those beyond, and those beyond the table of factorials."""
    x = torch.arange(1.0, 601.0).view(2, 300)
    sparse = rows_of(sp.csr_matrix(x.numpy()), np.arange(2))
    _, _, inputs = case(2, 300)
    for theta in (1e-3, 1.0, 1e4):
        tensors = (*inputs[:2], torch.full((1, 300), math.log(theta), requires_grad=True), *inputs[3:])
        exact, (value, by) = doubled(tensors), fast(sparse, tensors)
        expected = defined(x.double(), exact)
        assert off(value, expected) < 1e-6
        (right,) = torch.autograd.grad(expected.sum(), exact[2])
        assert off(by[2], right) < 1e-5
