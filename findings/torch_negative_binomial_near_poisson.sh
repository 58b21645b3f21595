#!/usr/bin/env bash
# torch 2.13.0 (and scvi-tools 1.5.1): the negative binomial log-likelihood of nearly Poisson counts loses its digits,
# up to probabilities above 1.
#
# Both take lgamma(count + theta) - lgamma(theta), in float32 by default. Where a gene is nearly Poisson its inverse
# dispersion theta is large, and so are the two terms that cancel: lgamma(1e5) is 1,051,288, whose last digit is 0.125,
# lgamma(1e7) 1.5e8, whose last is 16. The difference that is sought is of order 10. The rounding of lgamma(theta)
# is the same in all cells of a gene: it adds up instead of averaging out. scipy's nbinom is exact.
# Seen for 2,000 counts of mean 1: errors up to 0.005 at theta = 1e4, 0.12 at 1e5, 1.3 at 1e6, 8.3 at 1e7. Their sum is
# -2,196 at 1e5, -2,951 at 1e6 and -1,603 at 1e7, where it should be -2,164; at 1e7 98 counts have a
# log-probability above 0. In float64 all are right to 1e-7.
# What it means: ELBOs and log-likelihoods of two models differ by rounding. What helps: .double() before log_prob.
source "$(dirname "$0")/environment.bash"
packages torch==2.13.0 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
import numpy, torch
from scipy.stats import nbinom

rng = numpy.random.default_rng(0)
mean = rng.gamma(1.0, 1.0, 2000) + 0.01
counts, found = rng.poisson(mean), {}


def log_probability(theta, kind):
    """The log-likelihood of each count by torch in this type of numbers, from logits log(mean / theta)."""
    total, logits = (torch.tensor(x, dtype=kind) for x in (numpy.full(2000, theta), numpy.log(mean / theta)))
    return torch.distributions.NegativeBinomial(total, logits=logits).log_prob(torch.tensor(counts, dtype=kind)).numpy()


for theta in (1e2, 1e4, 1e5, 1e6, 1e7):
    true = nbinom.logpmf(counts, theta, theta / (theta + mean))
    single, double = log_probability(theta, torch.float32), log_probability(theta, torch.float64)
    found[theta] = abs(single - true).max(), abs(double - true).max(), int((single > 0).sum())
    print(
        f"torch {torch.__version__}, theta {theta:.0e}: error {found[theta][0]:.1e}, in float64 {found[theta][1]:.1e}; "
        f"sum {single.astype(float).sum():.0f}, exact {true.sum():.0f}; above 0: {found[theta][2]}"
    )
assert found[1e2][0] < 1e-3 and found[1e5][0] > 0.05 and found[1e6][0] > 0.5 and found[1e7][2] > 10
assert max(double for _, double, _ in found.values()) < 1e-5
END
