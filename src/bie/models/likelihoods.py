"""Log-likelihoods of counts: negative binomial, the same with extra zeros, Poisson, normal on a log scale.

The negative binomial has the mean ``mu`` and the inverse dispersion ``theta`` (variance mu + mu^2 / theta);
zero-inflated, also the logit ``pi`` of the share of technical zeros (Lopez et al. 2018). Poisson is the same
with infinite theta. The normal distribution is one of ``log(1 + x)``: its values are logarithms of a density
there, which can be positive, and cannot be compared with the log-probabilities of the others.

`nb`, `zinb`, `poisson` and `gaussian` define them, count by count. What ends in ``_of_cell`` is the sum over
genes; for counts in a form that takes logarithms of gamma functions at non-zero counts only, which are few:
every count is charged as a zero first, then the non-zero ones pay the ratio

    p(x) / p(0) = (mu / (theta + mu))^x  Gamma(x + theta) / (Gamma(theta) x!)       (negative binomial)
                = mu^x / x!                                                         (Poisson)

On a GPU they are sums of the plain forms: logarithms of gamma functions are cheap there, and the number of
non-zero counts, on which shapes would depend, is not known before all queued work is done. Where it can be,
`bie.kernels.fused` takes their place.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

EPS = 1e-8
"""Keeps the logarithms finite at ``mu = 0``; the same number as in scVI."""

MIN_VARIANCE = 0.01
"""Of a log count. Without it the density of a gene that never varies would rise without bound."""


def nb(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Log-probability of each count under the negative binomial distribution.

    Parameters
    ----------
    x
        Counts, whole numbers >= 0.
    mu, theta
        Mean >= 0 and inverse dispersion > 0, broadcast against `x`.

    Returns
    -------
    Tensor
        Nats, <= 0, in the shape of `x`.
    """
    log_total = (theta + mu + EPS).log()
    failures = theta * ((theta + EPS).log() - log_total)
    successes = x * ((mu + EPS).log() - log_total)
    return failures + successes + (x + theta).lgamma() - theta.lgamma() - (x + 1).lgamma()


def zinb(x: Tensor, mu: Tensor, theta: Tensor, pi: Tensor) -> Tensor:
    """Log-probability of each count when a share ``sigmoid(pi)`` of the counts is replaced by zeros.

    Parameters
    ----------
    x, mu, theta
        As for `nb`.
    pi
        Logit of the share of technical zeros, broadcast against `x`.

    Returns
    -------
    Tensor
        ``log(sigmoid(-pi) NB(x) + sigmoid(pi) [x = 0])``: nats, <= 0, in the shape of `x`.
    """
    counted = logsigmoid(-pi) + nb(x, mu, theta)
    return torch.where(x == 0, torch.logaddexp(logsigmoid(pi), counted), counted)


def poisson(x: Tensor, mu: Tensor) -> Tensor:
    """Log-probability of each count under the Poisson distribution.

    Parameters
    ----------
    x
        Counts, whole numbers >= 0.
    mu
        Mean >= 0, broadcast against `x`.

    Returns
    -------
    Tensor
        Nats, <= 0, in the shape of `x`.
    """
    return x * (mu + EPS).log() - mu - (x + 1).lgamma()


def gaussian(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Log-density of ``log(1 + x)``: normal around ``log(1 + mu)``, with variance ``0.01 + 1 / theta``.

    Parameters
    ----------
    x
        Counts >= 0.
    mu, theta
        ``exp(mean of log(1 + x)) - 1``, >= 0, and inverse of the variance beyond `MIN_VARIANCE`, > 0;
        broadcast against `x`.

    Returns
    -------
    Tensor
        Nats of a density per unit of ``log(1 + x)``, of any sign, in the shape of `x`.
    """
    variance = MIN_VARIANCE + 1 / theta
    squared = (x.log1p() - mu.log1p()).square()
    return -(squared / variance + variance.log() + math.log(2 * math.pi)) / 2


def nb_of_cell(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Sum of `nb` over the genes of each cell.

    Parameters
    ----------
    x, mu
        Counts and means, ``(..., n, g)``.
    theta
        Inverse dispersions, ``(..., 1, g)`` or ``(..., n, g)``.

    Returns
    -------
    Tensor
        ``(..., n)``, nats.
    """
    if x.device.type != "cpu":
        return nb(x, mu, theta).sum(-1)
    log_total = (theta + mu + EPS).log()
    zeros = theta * ((theta + EPS).log() - log_total)
    at = _nonzero(x)
    return _add_to_cells(zeros, at, _log_ratio(at, x, mu, theta, log_total))


def zinb_of_cell(x: Tensor, mu: Tensor, theta: Tensor, pi: Tensor) -> Tensor:
    """Sum of `zinb` over the genes of each cell.

    Parameters
    ----------
    x, mu, pi
        Counts, means and logits of technical zeros, ``(..., n, g)``.
    theta
        Inverse dispersions, ``(..., 1, g)`` or ``(..., n, g)``.

    Returns
    -------
    Tensor
        ``(..., n)``, nats.
    """
    if x.device.type != "cpu":
        return zinb(x, mu, theta, pi).sum(-1)
    log_total = (theta + mu + EPS).log()
    log_odds = theta * ((theta + EPS).log() - log_total) - pi  # counted zero : technical zero
    zeros = softplus(log_odds) + logsigmoid(pi)
    at = _nonzero(x)
    ratio = _log_ratio(at, x, mu, theta, log_total) + logsigmoid(_pick(log_odds, at))
    return _add_to_cells(zeros, at, ratio)


def poisson_of_cell(x: Tensor, mu: Tensor) -> Tensor:
    """Sum of `poisson` over the genes of each cell, from ``(..., n, g)`` to ``(..., n)``, nats."""
    if x.device.type != "cpu":
        return poisson(x, mu).sum(-1)
    at = _nonzero(x)
    count = _pick(x, at)
    return _add_to_cells(-mu, at, count * (_pick(mu, at) + EPS).log() - (count + 1).lgamma())


def gaussian_of_cell(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Sum of `gaussian` over the genes of each cell, from ``(..., n, g)`` to ``(..., n)``, nats."""
    return gaussian(x, mu, theta).sum(-1)


def _log_ratio(at: Tensor, x: Tensor, mu: Tensor, theta: Tensor, log_total: Tensor) -> Tensor:
    """``log p(x) - log p(0)`` of the negative binomial distribution for the counts at `at`."""
    count, dispersion = _pick(x, at), _pick(theta.expand_as(x), at)
    per_gene = theta.shape[-2] == 1
    lgamma = _pick(theta.lgamma().expand_as(x), at) if per_gene else dispersion.lgamma()
    gammas = (count + dispersion).lgamma() - lgamma - (count + 1).lgamma()
    return count * ((_pick(mu, at) + EPS).log() - _pick(log_total, at)) + gammas


def _nonzero(x: Tensor) -> Tensor:
    """Positions of the non-zero entries in the flattened tensor."""
    return (x != 0).flatten().nonzero().squeeze(-1)


def _pick(values: Tensor, at: Tensor) -> Tensor:
    """Entries at flat positions; several times as fast as indexing by row and column."""
    return values.flatten().index_select(0, at)


def _add_to_cells(zeros: Tensor, at: Tensor, ratio: Tensor) -> Tensor:
    """Sum over the genes of each cell, of `zeros` everywhere and of `ratio` at the flat positions `at`."""
    cell = at.div(zeros.shape[-1], rounding_mode="floor")
    of_cell = zeros.sum(-1)
    return of_cell.flatten().index_put((cell,), ratio, accumulate=True).view_as(of_cell)
