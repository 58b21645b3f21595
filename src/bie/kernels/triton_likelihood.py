"""The Triton programs behind `bie.kernels.fused`; imported where there is Triton, and there only.

With u = mu / (theta + EPS), the definitions of `bie.models.likelihoods` come to

    ln NB(0)         = -theta ln(1 + u)
    ln NB(x) / NB(0) = x ln(mu + EPS) - x ln(theta + mu + EPS) + ln Gamma(x + theta) / (Gamma(theta) x!)
    ln ZINB(0)       = softplus(ln NB(0) - pi) - softplus(-pi)
    ln ZINB(x)       = ln NB(x) - softplus(pi)

and the ratios of gamma functions are taken as such, not as differences of large logarithms: four steps of
the recurrence, then the series of Stirling, whose largest terms cancel on paper. Nothing here is an atomic
addition: a sum over cells or genes is made in the same order every time.
"""

import triton
import triton.language as tl

EPS = tl.constexpr(1e-8)
OF_FIVE = tl.constexpr(1 / 60 - 1 / 45_000 + 1 / 3_937_500)  # `_stirling` there


@triton.jit
def _log1p(x):
    """``ln(1 + x)`` for x >= 0, to the last digits also where x is small (Goldberg 1991, theorem 4)."""
    y = 1.0 + x
    rest = tl.where(y == 1.0, 1.0, y - 1.0)
    return tl.where(y == 1.0, x, tl.log(y) * (x / rest))


@triton.jit
def _softplus(x):
    return tl.maximum(x, 0.0) + _log1p(tl.exp(-tl.abs(x)))


@triton.jit
def _sigmoid(x):
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def _stirling(z):
    """What the series adds to ``(z - 1/2) ln z - z + ln(2 pi) / 2`` to make it ``ln Gamma(z)``, z >= 4."""
    over = 1.0 / z
    square = over * over
    return over * (1 / 12 - square * (1 / 360 - square * (1 / 1260)))


@triton.jit
def _slope(z):
    """What the series takes from ``ln z - 1 / (2z)`` to make it the digamma function, z >= 4."""
    square = 1.0 / (z * z)
    return square * (1 / 12 - square * (1 / 120 - square * (1 / 252)))


@triton.jit
def _gammas(x, theta):
    """``ln Gamma(x + theta) / (Gamma(theta) x!)``, but for ``x ln((x + theta + 4) / (x + 5))``."""
    z, w, v, y = theta + 4.0, x + theta + 4.0, x + 5.0, x + theta
    steps = 2.0 * y * (y + 1.0) / ((x + 1.0) * (x + 2.0) * (theta * (theta + 1.0)))
    more = 12.0 * (y + 2.0) * (y + 3.0) / ((x + 3.0) * (x + 4.0) * ((theta + 2.0) * (theta + 3.0)))
    large = (z - 0.5) * _log1p(x / z) - 4.5 * _log1p(x * 0.2)
    return large + (_stirling(w) - _stirling(z) - _stirling(v) + OF_FIVE) - tl.log(steps * more)


@triton.jit
def _digammas(x, theta):
    """``digamma(x + theta) - digamma(theta)``: terms of one sign, but for those of the series."""
    z, w, y = theta + 4.0, x + theta + 4.0, x + theta
    steps = 1.0 / (theta * y) + 1.0 / ((theta + 1.0) * (y + 1.0))
    steps += 1.0 / ((theta + 2.0) * (y + 2.0)) + 1.0 / ((theta + 3.0) * (y + 3.0))
    return x * (steps + 0.5 / (w * z)) + _log1p(x / z) + (_slope(z) - _slope(w))


@triton.jit
def _value(x, mu, theta, pi, zero_inflated: tl.constexpr):
    """Log-probability of a count."""
    none = -theta * _log1p(mu / (theta + EPS))  # ln NB(0)
    total = theta + mu + EPS
    paid = x * tl.log((mu + EPS) / total * ((x + theta + 4.0) / (x + 5.0))) + _gammas(x, theta)
    counted = none + tl.where(x == 0, 0.0, paid)
    if zero_inflated:
        zero = _softplus(none - pi) - _softplus(-pi)
        counted = tl.where(x == 0, zero, counted - _softplus(pi))
    return counted


@triton.jit
def _weight(x, mu, theta, pi, zero_inflated: tl.constexpr):
    """Derivative of the log-probability by that under NB: the chance that a zero was counted; else 1."""
    if zero_inflated:
        none = -theta * _log1p(mu / (theta + EPS))
        return tl.where(x == 0, _sigmoid(none - pi), 1.0)
    return tl.full(x.shape, 1.0, tl.float32)


@triton.jit
def _by_log_mu(x, mu, theta):
    """Derivative of ln NB(x) by ln mu."""
    return mu * (x / (mu + EPS) - (x + theta) / (theta + mu + EPS))


@triton.jit
def _by_log_theta(x, mu, theta):
    """Derivative of ln NB(x) by ln theta."""
    total = theta + mu + EPS
    rest = (theta * mu / (theta + EPS) - x) / total - _log1p(mu / (theta + EPS))
    return theta * (rest + tl.where(x == 0, 0.0, _digammas(x, theta)))


@triton.jit
def forward(
    x_ptr,
    rho_ptr,
    library_ptr,
    log_theta_ptr,
    pi_ptr,
    value_ptr,
    slope_ptr,
    top_ptr,
    sum_ptr,
    n_cells,
    n_genes,
    zero_inflated: tl.constexpr,
    CELLS: tl.constexpr,
    GENES: tl.constexpr,
):
    """For `CELLS` cells of a run: log-likelihood, its derivative by the log library, parts of the softmax."""
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    cell = block * CELLS + tl.arange(0, CELLS)
    is_cell = cell < n_cells
    row = run * n_cells + cell
    start = row[:, None] * n_genes

    top = tl.full((CELLS, GENES), float("-inf"), tl.float32)
    total = tl.zeros((CELLS, GENES), tl.float32)
    for first in range(0, n_genes, GENES):
        gene = first + tl.arange(0, GENES)
        inside = is_cell[:, None] & (gene < n_genes)[None, :]
        rho = tl.load(rho_ptr + start + gene[None, :], mask=inside, other=float("-inf"))
        higher = tl.maximum(top, rho)
        still = tl.where(higher == float("-inf"), 0.0, higher)  # nothing but masked genes so far
        total = total * tl.exp(top - still) + tl.exp(rho - still)
        top = higher
    highest = tl.max(top, 1)
    highest = tl.where(is_cell, highest, 0.0)
    sums = tl.sum(total * tl.exp(top - highest[:, None]), 1)
    sums = tl.where(is_cell, sums, 1.0)

    library = tl.load(library_ptr + row, mask=is_cell, other=0.0)
    scale = tl.exp(library) / sums
    value = tl.zeros((CELLS, GENES), tl.float32)
    slope = tl.zeros((CELLS, GENES), tl.float32)
    for first in range(0, n_genes, GENES):
        gene = first + tl.arange(0, GENES)
        inside = is_cell[:, None] & (gene < n_genes)[None, :]
        at = start + gene[None, :]
        log_theta = tl.load(log_theta_ptr + run * n_genes + gene, mask=gene < n_genes, other=0.0)
        theta = tl.exp(log_theta)[None, :]
        rho = tl.load(rho_ptr + at, mask=inside, other=0.0)
        x = tl.load(x_ptr + at, mask=inside, other=0.0)
        pi = tl.zeros((CELLS, GENES), tl.float32)
        if zero_inflated:
            pi = tl.load(pi_ptr + at, mask=inside, other=0.0)
        mu = scale[:, None] * tl.exp(rho - highest[:, None])
        by_mu = _weight(x, mu, theta, pi, zero_inflated) * _by_log_mu(x, mu, theta)
        value += tl.where(inside, _value(x, mu, theta, pi, zero_inflated), 0.0)
        slope += tl.where(inside, by_mu, 0.0)
    tl.store(value_ptr + row, tl.sum(value, 1), mask=is_cell)
    tl.store(slope_ptr + row, tl.sum(slope, 1), mask=is_cell)
    tl.store(top_ptr + row, highest, mask=is_cell)
    tl.store(sum_ptr + row, sums, mask=is_cell)


@triton.jit
def backward(
    x_ptr,
    rho_ptr,
    library_ptr,
    log_theta_ptr,
    pi_ptr,
    slope_ptr,
    top_ptr,
    sum_ptr,
    by_value_ptr,
    by_rho_ptr,
    by_pi_ptr,
    by_theta_ptr,
    n_cells,
    n_genes,
    zero_inflated: tl.constexpr,
    CELLS: tl.constexpr,
    GENES: tl.constexpr,
):
    """For a tile of a run: derivatives by both logits, and that by ln theta, summed over its cells."""
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    gene = tl.program_id(2) * GENES + tl.arange(0, GENES)
    is_gene = gene < n_genes
    cell = block * CELLS + tl.arange(0, CELLS)
    is_cell = cell < n_cells
    row = run * n_cells + cell
    inside = is_cell[:, None] & is_gene[None, :]
    at = row[:, None] * n_genes + gene[None, :]

    theta = tl.exp(tl.load(log_theta_ptr + run * n_genes + gene, mask=is_gene, other=0.0))[None, :]
    library = tl.load(library_ptr + row, mask=is_cell, other=0.0)
    slope = tl.load(slope_ptr + row, mask=is_cell, other=0.0)
    top = tl.load(top_ptr + row, mask=is_cell, other=0.0)
    sums = tl.load(sum_ptr + row, mask=is_cell, other=1.0)
    by_value = tl.load(by_value_ptr + row, mask=is_cell, other=0.0)[:, None]
    rho = tl.load(rho_ptr + at, mask=inside, other=0.0)
    x = tl.load(x_ptr + at, mask=inside, other=0.0)
    pi = tl.zeros((CELLS, GENES), tl.float32)
    if zero_inflated:
        pi = tl.load(pi_ptr + at, mask=inside, other=0.0)
    share = tl.exp(rho - top[:, None]) / sums[:, None]
    mu = tl.exp(library)[:, None] * share
    weight = _weight(x, mu, theta, pi, zero_inflated)
    by_rho = weight * _by_log_mu(x, mu, theta) - share * slope[:, None]
    tl.store(by_rho_ptr + at, by_value * by_rho, mask=inside)
    if zero_inflated:
        by_pi = tl.where(x == 0, 1.0 - weight, 0.0) - _sigmoid(pi)  # technical: told by the count - expected
        tl.store(by_pi_ptr + at, by_value * by_pi, mask=inside)
    by_theta = tl.where(inside, by_value * (weight * _by_log_theta(x, mu, theta)), 0.0)
    place = (run * tl.num_programs(1) + block) * n_genes + gene
    tl.store(by_theta_ptr + place, tl.sum(by_theta, 0), mask=is_gene)
