#!/usr/bin/env bash
# dcor 0.7: a constant latent dimension depends on the batch at the smallest p-value there is.
#
# The permutation tests (distance covariance, partial distance covariance, energy) count permutations whose statistic is
# larger than the one observed; those that are equal to it are not counted, where "at least as large" makes a test
# valid. Of values that are mostly different that is no matter. Of a constant, as a collapsed dimension is, all
# statistics are 0, none is larger than 0, and p is 1 / (1 + permutations). Of a gene that few cells express, many
# permutations tie, and rounding decides which of them count. (num_resamples is 0 by default, which gives p = 1
# always.) Nothing is said. The documentation calls it a test of independence; the t-test of the package gives 0.5.
# Seen, with 199 permutations: p = 0.005 for a constant and two batches of 50, also with a third variable given, and for
# two samples of equal values (energy_test). A binary gene that 5 % of the cells express, independent of two batches of
# 20 cells: p <= 0.05 in 54 of 200 data sets, where 10 would be right; by scipy, which counts ties, in none of the first
# 50. A normal variable: in 4 of 200.
# What it means: dead dimensions and rare genes are found to carry the batch.
# What helps: leave constants out; for few values scipy.stats.permutation_test, which counts ties.
source "$(dirname "$0")/environment.bash"
packages dcor==0.7 numba==0.68.1 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import dcor, numpy
from scipy.stats import permutation_test

rng = numpy.random.default_rng(0)


def p_value(values, batches):
    test = dcor.independence.distance_covariance_test(values, batches, num_resamples=199, random_state=0)
    return round(test.pvalue, 3)


def counting_ties(values, batches):
    """The same statistic by scipy's test, which takes what differs by rounding as equal."""
    return permutation_test(
        (values,),
        lambda order: dcor.distance_covariance_sqr(order, batches),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=199,
        rng=0,
    ).pvalue


batches = numpy.repeat([0.0, 1.0], 50)
constant = numpy.full(100, 0.3)
dead = p_value(constant, batches)
third = rng.normal(size=100)
partial = dcor.independence.partial_distance_covariance_test(
    constant, batches, third, num_resamples=199, random_state=0
).pvalue
energy = dcor.homogeneity.energy_test(constant[:50], constant[50:], num_resamples=199, random_state=0).pvalue
default = dcor.independence.distance_covariance_test(batches, batches).pvalue
small = numpy.repeat([0.0, 1.0], 20)
genes = [gene.astype(float) for gene in rng.random((300, 40)) < 0.05 if gene.any()][:200]
rare = sum(p_value(gene, small) <= 0.05 for gene in genes)
tied = sum(counting_ties(gene, small) <= 0.05 for gene in genes[:50])
normal = sum(p_value(rng.normal(size=40), small) <= 0.05 for _ in range(200))
print(f"dcor {version('dcor')}: a constant and the batch p = {dead}, given a third variable {partial}, energy {energy}")
print(f"p <= 0.05 of independent variables: rare gene {rare} of 200, normal {normal} of 200; ties counted {tied} of 50")
print(f"a variable and itself, number of permutations by default: p = {default}")
assert dead == round(partial, 3) == round(energy, 3) == 0.005 and default == 1
assert len(genes) == 200 and rare > 30 and normal <= 20 and tied <= 5
END
