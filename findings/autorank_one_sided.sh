#!/usr/bin/env bash
# autorank 1.3.0: of two equal models one is better with p < 0.05 in 11 % of the comparisons.
#
# Two models of which one is not normally distributed, or any with force_mode="nonparametric" as here, are compared by
# Wilcoxon's signed rank test, says the documentation, and the p-value is that of a difference. The test is one-sided,
# for the model whose median is larger in these very data. Its p-value is half of the two-sided one where that model's
# ranks are higher, too, and near 1 where they are lower, however clear that is. verbose=True prints "one-sided", the
# result does not. For two normally distributed models the t-test is two-sided.
# Seen: scores of two equal models on 20 data sets, 400 times: p < 0.05 in 10.7 %, by the two-sided test in 3.3 %; p is
# exactly half in 80 %. And B above A in 18 of 20 where A has the larger median: p 0.99992, two-sided 0.00016.
# What it means: of new models without merit twice as many are significantly better as alpha says.
# What helps: scipy.stats.wilcoxon on the two columns.
source "$(dirname "$0")/environment.bash"
packages autorank==1.3.0 baycomp==1.0.3 scipy==1.17.1 numpy==2.4.6 pandas==2.3.3 matplotlib==3.11.2 statsmodels==0.15.0
MPLBACKEND=agg "$python" -W ignore - <<'END'
import contextlib, io
from importlib.metadata import version

import numpy, pandas, scipy.stats
from autorank import autorank


def compare(scores):
    """Test and p-value by autorank, and the two-sided one by scipy."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a table
        result = autorank(pandas.DataFrame(scores, columns=["A", "B"]), force_mode="nonparametric")
    return result.omnibus, float(result.pvalue), float(scipy.stats.wilcoxon(*scores.T).pvalue)


rng = numpy.random.default_rng(0)
null = [compare(rng.standard_t(2, (20, 2))) for _ in range(400)]
tests = {test for test, *_ in null}
one, two = numpy.array([p for _, *p in null]).T
rates = [round(float((p < 0.05).mean()), 3) for p in (one, two)]
print(f"autorank {version('autorank')}, {tests}: p < 0.05 of equal models {rates[0]}, two-sided {rates[1]}")
halves = round(float(numpy.isclose(one, two / 2).mean()), 2)
print(f"exactly half of the two-sided p-value in {halves:.0%}")
a = numpy.arange(20.0)
b = a + numpy.linspace(1, 2, 20)
b[9:11] = a[9:11] - 1
test, one, two = compare(numpy.transpose([a, b]))
medians = [round(float(numpy.median(scores)), 1) for scores in (a, b)]
print(f"B above A in {(b > a).sum()} of 20, medians of A and B {medians}: p {one:.5f}, two-sided {two:.5f}")
assert tests == {test} == {"wilcoxon"} and 0.07 < rates[0] < 0.13 and 0.03 < rates[1] < 0.07 and halves > 0.5
assert (b > a).sum() == 18 and medians[0] > medians[1] and one > 0.999 and two < 0.001
END
