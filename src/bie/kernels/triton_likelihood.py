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
    """Derivative of ln ZINB(x) w.r.t. ln NB(x): the chance that a zero is no technical one; 1 for others."""
    if zero_inflated:
        none = -theta * _log1p(mu / (theta + EPS))
        return tl.where(x == 0, _sigmoid(none - pi), 1.0)
    return tl.full(x.shape, 1.0, tl.float32)


@triton.jit
def _grad_log_mu(x, mu, theta):
    """Derivative of ln NB(x) w.r.t. ln mu."""
    return mu * (x / (mu + EPS) - (x + theta) / (theta + mu + EPS))


@triton.jit
def _grad_log_theta(x, mu, theta):
    """Derivative of ln NB(x) w.r.t. ln theta."""
    total = theta + mu + EPS
    rest = (theta * mu / (theta + EPS) - x) / total - _log1p(mu / (theta + EPS))
    return theta * (rest + tl.where(x == 0, 0.0, _digammas(x, theta)))


@triton.jit
def _cells_of_program(n_cells, CELLS: tl.constexpr):
    """Run and block of this program, row of each of its cells in all runs, and whether it is a cell."""
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)  # 64 bits: runs x cells x genes is large
    cell = block * CELLS + tl.arange(0, CELLS)
    return run, block, run * n_cells + cell, cell < n_cells


@triton.jit
def _load_tile(
    x_ptr,
    logit_ptr,
    pi_ptr,
    at,
    inside,
    zero_inflated: tl.constexpr,
    CELLS: tl.constexpr,
    GENES: tl.constexpr,
):
    """Counts, logits of the proportions and of technical zeros at some addresses; 0 where not `inside`."""
    logit = tl.load(logit_ptr + at, mask=inside, other=0.0)
    x = tl.load(x_ptr + at, mask=inside, other=0.0)
    pi = tl.zeros((CELLS, GENES), tl.float32)
    if zero_inflated:
        pi = tl.load(pi_ptr + at, mask=inside, other=0.0)
    return x, logit, pi


@triton.jit
def _softmax_parts(logit_ptr, start, is_cell, n_genes, CELLS: tl.constexpr, GENES: tl.constexpr):
    """Largest logit of each cell and the sum of ``e^(logit - largest)``, in one pass over the genes.

    A running maximum and a sum that is rescaled when it rises (Milakov & Gimelshein 2018, arXiv:1805.02867),
    one for each column of the tile, so that columns are put together once, at the end.
    """
    top = tl.full((CELLS, GENES), float("-inf"), tl.float32)
    total = tl.zeros((CELLS, GENES), tl.float32)
    for first in range(0, n_genes, GENES):
        gene = first + tl.arange(0, GENES)
        inside = is_cell[:, None] & (gene < n_genes)[None, :]
        logit = tl.load(logit_ptr + start + gene[None, :], mask=inside, other=float("-inf"))
        higher = tl.maximum(top, logit)
        # Where a column has met nothing but masked genes, -inf - -inf would be NaN.
        finite = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(top - finite) + tl.exp(logit - finite)
        top = higher
    largest = tl.where(is_cell, tl.max(top, 1), 0.0)
    sums = tl.sum(total * tl.exp(top - largest[:, None]), 1)
    return largest, tl.where(is_cell, sums, 1.0)  # a divisor, beyond the last cell as well


@triton.jit
def forward(
    x_ptr,
    logit_ptr,
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
    """For `CELLS` cells of a run: log-likelihood, its derivative w.r.t. log library, parts of the softmax."""
    run, _, row, is_cell = _cells_of_program(n_cells, CELLS)
    start = row[:, None] * n_genes
    top, sums = _softmax_parts(logit_ptr, start, is_cell, n_genes, CELLS, GENES)
    library = tl.load(library_ptr + row, mask=is_cell, other=0.0)
    scale = tl.exp(library) / sums
    value = tl.zeros((CELLS, GENES), tl.float32)
    slope = tl.zeros((CELLS, GENES), tl.float32)
    for first in range(0, n_genes, GENES):
        gene = first + tl.arange(0, GENES)
        inside = is_cell[:, None] & (gene < n_genes)[None, :]
        log_theta = tl.load(log_theta_ptr + run * n_genes + gene, mask=gene < n_genes, other=0.0)
        theta = tl.exp(log_theta)[None, :]
        at = start + gene[None, :]
        x, logit, pi = _load_tile(x_ptr, logit_ptr, pi_ptr, at, inside, zero_inflated, CELLS, GENES)
        mu = scale[:, None] * tl.exp(logit - top[:, None])
        # d/d log library = d/d log mu, summed over the genes, since each mu is proportional to the library.
        grad_log_mu = _weight(x, mu, theta, pi, zero_inflated) * _grad_log_mu(x, mu, theta)
        value += tl.where(inside, _value(x, mu, theta, pi, zero_inflated), 0.0)
        slope += tl.where(inside, grad_log_mu, 0.0)
    tl.store(value_ptr + row, tl.sum(value, 1), mask=is_cell)
    tl.store(slope_ptr + row, tl.sum(slope, 1), mask=is_cell)
    tl.store(top_ptr + row, top, mask=is_cell)
    tl.store(sum_ptr + row, sums, mask=is_cell)


@triton.jit
def backward(
    x_ptr,
    logit_ptr,
    library_ptr,
    log_theta_ptr,
    pi_ptr,
    slope_ptr,
    top_ptr,
    sum_ptr,
    grad_value_ptr,
    grad_logit_ptr,
    grad_pi_ptr,
    grad_theta_ptr,
    n_cells,
    n_genes,
    zero_inflated: tl.constexpr,
    CELLS: tl.constexpr,
    GENES: tl.constexpr,
):
    """For a tile of a run: derivatives w.r.t. both logits, and w.r.t. ln theta, summed over its cells."""
    run, block, row, is_cell = _cells_of_program(n_cells, CELLS)
    gene = tl.program_id(2) * GENES + tl.arange(0, GENES)
    is_gene = gene < n_genes
    inside = is_cell[:, None] & is_gene[None, :]
    at = row[:, None] * n_genes + gene[None, :]
    theta = tl.exp(tl.load(log_theta_ptr + run * n_genes + gene, mask=is_gene, other=0.0))[None, :]
    x, logit, pi = _load_tile(x_ptr, logit_ptr, pi_ptr, at, inside, zero_inflated, CELLS, GENES)
    rho = _proportions(logit, top_ptr, sum_ptr, row, is_cell)
    mu = tl.exp(tl.load(library_ptr + row, mask=is_cell, other=0.0))[:, None] * rho
    slope = tl.load(slope_ptr + row, mask=is_cell, other=0.0)
    grad_value = tl.load(grad_value_ptr + row, mask=is_cell, other=0.0)[:, None]
    weight = _weight(x, mu, theta, pi, zero_inflated)
    # Through the softmax: what a gene's own mu gives, less its share of what all of them give.
    grad_logit = weight * _grad_log_mu(x, mu, theta) - rho * slope[:, None]
    tl.store(grad_logit_ptr + at, grad_value * grad_logit, mask=inside)
    if zero_inflated:
        # Probability that this count is a technical zero, less the probability of one before it was seen.
        grad_pi = tl.where(x == 0, 1.0 - weight, 0.0) - _sigmoid(pi)
        tl.store(grad_pi_ptr + at, grad_value * grad_pi, mask=inside)
    grad_theta = tl.where(inside, grad_value * (weight * _grad_log_theta(x, mu, theta)), 0.0)
    # A sum over the cells of this block alone; the caller adds up the blocks, in a fixed order.
    place = (run * tl.num_programs(1) + block) * n_genes + gene
    tl.store(grad_theta_ptr + place, tl.sum(grad_theta, 0), mask=is_gene)


@triton.jit
def _proportions(logit, top_ptr, sum_ptr, row, is_cell):
    """The softmax of some logits, from the parts that `forward` left."""
    top = tl.load(top_ptr + row, mask=is_cell, other=0.0)
    sums = tl.load(sum_ptr + row, mask=is_cell, other=1.0)
    return tl.exp(logit - top[:, None]) / sums[:, None]
