from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from bie.models.likelihoods import (
    MIN_VARIANCE,
    gaussian,
    gaussian_of_cell,
    nb,
    nb_of_cell,
    poisson,
    poisson_of_cell,
    zinb,
    zinb_of_cell,
)


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Counts (half of them zero), means, inverse dispersions of each gene, logits."""
    random = np.random.default_rng(0)
    x = random.negative_binomial(1.0, 0.1, size=shape) * random.integers(0, 2, size=shape)
    mu, theta = random.lognormal(0, 2, size=shape), random.lognormal(0, 1, size=(1, shape[-1]))
    return tuple(torch.tensor(a, dtype=dtype) for a in (x, mu, theta, random.normal(0, 3, size=shape)))  # type: ignore[return-value]


def test_nb_is_scipys() -> None:
    x, mu, theta, _ = draw(40, 30)
    expected = stats.nbinom.logpmf(x, theta.expand_as(x), theta / (theta + mu))
    np.testing.assert_allclose(nb(x, mu, theta), expected, rtol=1e-6, atol=1e-6)  # eps of the logarithms


def test_zinb_mixes_zeros_into_nb() -> None:
    x, mu, theta, pi = draw(40, 30)
    share = torch.sigmoid(pi)
    expected = torch.log(share * (x == 0) + (1 - share) * torch.exp(nb(x, mu, theta)))
    torch.testing.assert_close(zinb(x, mu, theta, pi), expected)


def test_poisson_is_scipys() -> None:
    x, mu, _, _ = draw(40, 30)
    np.testing.assert_allclose(poisson(x, mu), stats.poisson.logpmf(x, mu), rtol=1e-6, atol=1e-6)


def test_poisson_is_nb_of_infinite_theta() -> None:
    x, mu, theta, _ = draw(40, 30)
    limit = nb(x, mu, torch.full_like(theta, 1e9))
    torch.testing.assert_close(poisson(x, mu), limit, rtol=1e-3, atol=1e-4)


def test_gaussian_is_scipys_density_of_log_counts() -> None:
    x, mu, theta, _ = draw(40, 30)
    sd = np.sqrt(MIN_VARIANCE + 1 / theta.numpy())
    expected = stats.norm.logpdf(np.log1p(x.numpy()), np.log1p(mu.numpy()), sd)
    np.testing.assert_allclose(gaussian(x, mu, theta), expected, rtol=1e-10)


def test_gaussian_integrates_to_one_over_log_counts() -> None:
    mu, theta = torch.tensor(6.0, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64)
    log_x = torch.linspace(-10, 14, 100_001, dtype=torch.float64)
    density = gaussian(log_x.expm1(), mu, theta).exp()
    assert torch.trapezoid(density, log_x).item() == pytest.approx(1.0, rel=1e-9)
    assert torch.trapezoid(density * log_x, log_x).item() == pytest.approx(np.log(7.0), rel=1e-9)


def test_a_gene_that_never_varies_has_a_bounded_density() -> None:
    x = torch.zeros(1, 1)
    best = gaussian(x, torch.zeros(1, 1), torch.tensor([[1e30]]))
    assert best.item() == pytest.approx(-np.log(2 * np.pi * MIN_VARIANCE) / 2)


def test_probabilities_sum_to_one_over_the_counts() -> None:
    x = torch.arange(4000.0, dtype=torch.float64)[:, None]
    mu, theta, pi = (torch.tensor(v, dtype=torch.float64) for v in ([0.3, 4, 30], [5, 0.7, 2], [-2, 0, 3]))
    for log_p in (nb(x, mu, theta), zinb(x, mu, theta, pi), poisson(x, mu)):
        np.testing.assert_allclose(log_p.exp().sum(0), 1.0, rtol=1e-7)


def test_variance_is_mu_plus_mu_squared_over_theta() -> None:
    x = torch.arange(4000.0, dtype=torch.float64)
    mu, theta = torch.tensor(6.0, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64)
    p = nb(x, mu, theta).exp()
    assert (p * x).sum().item() == pytest.approx(6.0)
    assert (p * (x - 6) ** 2).sum().item() == pytest.approx(6 + 36 / 1.5)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-11), (torch.float32, 3e-6)])
def test_sums_over_a_cell_equal_the_definition(dtype: torch.dtype, rtol: float) -> None:
    x, mu, theta, pi = draw(3, 20, 50, dtype=dtype)  # with a leading axis, as replicates have
    torch.testing.assert_close(nb_of_cell(x, mu, theta), nb(x, mu, theta).sum(-1), rtol=rtol, atol=0)
    torch.testing.assert_close(
        zinb_of_cell(x, mu, theta, pi), zinb(x, mu, theta, pi).sum(-1), rtol=rtol, atol=0
    )
    torch.testing.assert_close(poisson_of_cell(x, mu), poisson(x, mu).sum(-1), rtol=rtol, atol=0)
    torch.testing.assert_close(
        gaussian_of_cell(x, mu, theta), gaussian(x, mu, theta).sum(-1), rtol=rtol, atol=0
    )


def test_sums_over_a_cell_have_the_gradients_of_the_definition() -> None:
    x, mu, theta, pi = draw(20, 50)
    inputs = tuple(t.requires_grad_() for t in (mu, theta, pi))
    pairs: list[tuple[Any, Any, int]] = [(nb_of_cell, nb, 2), (zinb_of_cell, zinb, 3)]
    for of_cell, definition, n in [*pairs, (poisson_of_cell, poisson, 1)]:
        fast = torch.autograd.grad(of_cell(x, *inputs[:n]).sum(), inputs[:n])
        plain = torch.autograd.grad(definition(x, *inputs[:n]).sum(), inputs[:n])
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    x, mu, theta, pi = draw(4, 6)
    inputs = tuple(t.requires_grad_() for t in (mu, theta, pi))
    assert torch.autograd.gradcheck(lambda mu, theta: nb_of_cell(x, mu, theta), inputs[:2])
    assert torch.autograd.gradcheck(lambda mu, theta, pi: zinb_of_cell(x, mu, theta, pi), inputs)
    assert torch.autograd.gradcheck(lambda mu: poisson_of_cell(x, mu), inputs[:1])
    assert torch.autograd.gradcheck(lambda mu, theta: gaussian_of_cell(x, mu, theta), inputs[:2])


def test_a_dispersion_for_each_cell_is_that_of_its_gene_where_they_agree() -> None:
    x, mu, theta, pi = draw(3, 20, 50)
    theta = theta[:, :1].clone().requires_grad_()
    for of_cell, inputs in ((nb_of_cell, ()), (zinb_of_cell, (pi,))):
        results = []
        for form in (theta, theta.expand_as(x).clone()):
            value = of_cell(x, mu, form, *inputs)
            results.append((value, torch.autograd.grad(value.sum(), theta, retain_graph=True)[0]))
        torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)
    own = theta.detach() * torch.rand(20, 1, generator=torch.Generator().manual_seed(0)).double().exp()
    torch.testing.assert_close(nb_of_cell(x, mu, own), nb(x, mu, own).sum(-1), rtol=1e-11, atol=0)
    torch.testing.assert_close(zinb_of_cell(x, mu, own, pi), zinb(x, mu, own, pi).sum(-1), rtol=1e-11, atol=0)


@pytest.mark.parametrize("mu", [0.0, 1e-6, 1e6])
def test_extremes_of_the_others_stay_finite(mu: float) -> None:
    x, means = torch.tensor([[0.0, 1.0, 20_000.0]]), torch.full((1, 3), mu, requires_grad=True)
    theta = torch.tensor([[1e-3, 1.0, 1e4]], requires_grad=True)
    for value in (poisson_of_cell(x, means), gaussian_of_cell(x, means, theta)):
        assert value.isfinite().all()
        (by_mean,) = torch.autograd.grad(value.sum(), means)
        assert by_mean.isfinite().all()


@pytest.mark.parametrize("pi", [-60.0, 60.0])
@pytest.mark.parametrize("mu", [0.0, 1e-6, 1e6])
def test_extremes_stay_finite_in_single_precision(mu: float, pi: float) -> None:
    x, means = torch.tensor([[0.0, 1.0, 20_000.0]]), torch.full((1, 3), mu, requires_grad=True)
    logits, theta = torch.full((1, 3), pi, requires_grad=True), torch.tensor([[1e-3, 1.0, 1e4]])
    value = zinb_of_cell(x, means, theta, logits)
    torch.autograd.backward(value.sum())
    assert value.isfinite().all()
    assert means.grad is not None
    assert logits.grad is not None
    assert means.grad.isfinite().all()
    assert logits.grad.isfinite().all()
    torch.testing.assert_close(value, zinb(x, means, theta, logits).sum(-1), rtol=1e-5, atol=1e-3)
