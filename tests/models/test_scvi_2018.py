"""The settings of 2018 (scvi 0.3.0) against its formulas, written out in NumPy and SciPy.

In evaluation mode and double precision: encoders without a variance floor, a library size with the population
moments of its batch, a dispersion of each group as the exponential of a parameter, and the zero-inflated
likelihood in the form with two softplus that the code of 2018 has.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import gammaln, softmax
from torch import Tensor

from bie.config import Model
from bie.data.cells import Cells, canonical
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.planning.compose import Configurations
from bie.planning.expand import expand

N, G, B, L, EPS = 60, 15, 3, 4, 1e-8
Array = NDArray[np.float64]


class Fixed(Noise):
    """Gives the same draws each time."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(1)
        self.draws: list[Array] = []

    def normal(self, shape: Sequence[int]) -> Tensor:
        self.draws.append(self.random.normal(size=tuple(shape)))
        return torch.from_numpy(self.draws[-1])


@pytest.fixture
def cells() -> Cells:
    random = np.random.default_rng(0)
    x = random.negative_binomial(1, 0.2, size=(N, G)) + np.eye(N, G, dtype=int)
    names = np.arange(N).astype(str), np.arange(G).astype(str)
    counts = canonical(sp.csr_matrix(x)).astype(np.float64)
    return Cells(counts, np.arange(N) % B, tuple("abc"), np.arange(N) // 3 % L, tuple("wxyz"), *names)


class Published:
    """The pass of scvi 0.3.0 on the weights of our model."""

    def __init__(self, model: Scvi, dispersion: str, likelihood: str) -> None:
        self.weights = {name: value.numpy() for name, value in model.state_dict().items()}
        self.dispersion, self.likelihood = dispersion, likelihood

    def linear(self, name: str, x: Array) -> Array:
        result: Array = x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return result

    def layers(self, name: str, x: Array, one_hot: Array | None = None) -> Array:
        for i in range(2 if f"{name}.linears.1.weight" in self.weights else 1):
            x = x if one_hot is None else np.concatenate([x, one_hot], 1)
            x = self.linear(f"{name}.linears.{i}", x)
            norm = {part: self.weights[f"{name}.norms.{i}.{part}"] for part in NORM}
            x = (x - norm["running_mean"]) / np.sqrt(norm["running_variance"] + 0.001)
            x = np.maximum(x * norm["weight"] + norm["bias"], 0)
        return x

    def encode(self, name: str, x: Array) -> tuple[Array, Array]:
        q = self.layers(f"{name}.hidden", np.log(1 + x))
        return self.linear(f"{name}.mean", q), np.exp(self.linear(f"{name}.log_variance", q))

    def px_r(self, h: Array, batch: Array, label: Array) -> Array:
        if self.dispersion == "gene-cell":
            return np.exp(self.linear("decoder.log_theta", h))
        px_r: Array = self.weights["decoder.log_theta"]
        rows = {"gene": np.ones((N, 1)), "gene-batch": batch, "gene-label": label}[self.dispersion]
        return np.exp(rows @ px_r)

    def losses(self, cells: Cells, draws: list[Array]) -> tuple[Array, Array]:
        """What its forward pass returns: reconstruction + KL of l, and KL of z, of each cell."""
        x = cells.counts.toarray()
        assert cells.label is not None
        batch, label = np.eye(B)[cells.batch], np.eye(L)[cells.label]
        (z_m, z_v), (l_m, l_v) = self.encode("encoder", x), self.encode("library.encoder", x)
        z, library = z_m + np.sqrt(z_v) * draws[0], l_m + np.sqrt(l_v) * draws[1]
        h = self.layers("decoder.hidden", z, batch)
        mu = np.exp(library) * softmax(self.linear("decoder.log_proportion", h), axis=1)
        theta = self.px_r(h, batch, label)
        log_p = nb(x, mu, theta)
        if self.likelihood == "zinb":
            log_p = zinb(x, mu, theta, self.linear("decoder.zero_logit", h))
        log_totals = np.log(x.sum(1))
        own = [log_totals[cells.batch == b] for b in cells.batch]
        local_m, local_v = (np.array([[f(v)] for v in own]) for f in (np.mean, np.var))
        return -log_p.sum(1) + kl(l_m, l_v, local_m, local_v), kl(z_m, z_v, 0.0, 1.0)


NORM = ("weight", "bias", "running_mean", "running_variance")


def kl(mean: Array, variance: Array, prior_mean: Any, prior_variance: Any) -> Array:
    ratio = (variance + (mean - prior_mean) ** 2) / prior_variance
    result: Array = (np.log(prior_variance / variance) / 2 + ratio / 2 - 0.5).sum(1)
    return result


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def nb(x: Array, mu: Array, theta: Array) -> Array:
    total = np.log(theta + mu + EPS)
    gammas = gammaln(x + theta) - gammaln(theta) - gammaln(x + 1)
    result: Array = theta * (np.log(theta + EPS) - total) + x * (np.log(mu + EPS) - total) + gammas
    return result


def zinb(x: Array, mu: Array, theta: Array, pi: Array) -> Array:
    u = -pi + theta * (np.log(theta + EPS) - np.log(theta + mu + EPS))
    zero = softplus(u) - softplus(-pi)
    gammas = gammaln(x + theta) - gammaln(theta) - gammaln(x + 1)
    positive = -softplus(-pi) + u + x * (np.log(mu + EPS) - np.log(theta + mu + EPS)) + gammas
    return np.where(x < EPS, zero, positive)


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
@pytest.mark.parametrize("dispersion", ["gene", "gene-batch", "gene-label", "gene-cell"])
def test_losses_are_those_of_2018(
    configurations: Configurations, cells: Cells, dispersion: str, likelihood: str, n_layers: int
) -> None:
    typed = [f"model.dispersion={dispersion}", f"model.likelihood={likelihood}", f"model.n_layers={n_layers}"]
    settings = expand(["preset=scvi_2018", *typed], configurations).combinations[0].config.model
    assert isinstance(settings, Model)
    mean_b, var_b = (torch.from_numpy(moment).double() for moment in cells.library_moments())
    model = Scvi(G, B, settings, mean_b, var_b, torch.Generator().manual_seed(0), L).double().eval()
    draw = torch.Generator().manual_seed(2)
    for name, buffer in model.named_buffers():  # no layer at a special value
        if "running" in name:
            buffer.uniform_(0.5, 2.0, generator=draw)
    x, batch = torch.from_numpy(cells.counts.toarray()), torch.from_numpy(cells.batch)
    noise = Fixed()
    with torch.no_grad():
        terms = model(x, batch, noise, torch.from_numpy(cells.label))
    first, second = Published(model, dispersion, likelihood).losses(cells, noise.draws)
    np.testing.assert_allclose(terms.reconstruction_n + terms.kl_library_n, first, rtol=1e-6)
    np.testing.assert_allclose(terms.kl_z_n, second, rtol=1e-9)
