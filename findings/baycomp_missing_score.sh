#!/usr/bin/env bash
# baycomp 1.0.3: a missing score is a vote for the first model, or with a rope for "no difference".
#
# two_on_multiple (the Bayesian signed-rank test) compares each pair's difference with the rope by > and <. A nan,
# the score of a run that failed, is neither above nor below, and what is not above is counted on the other side:
# on the first model's where rope=0, in the rope otherwise. Which of two models is called x so decides the outcome.
# SignTest counts it as a tie. Nothing is said. CorrelatedTTest, of the same package, gives nan. (The two numbers
# that are documented for rope=0 are three, so that [1] is not the second model's but the rope's, 0.)
# Seen: a second model that is better by 0.02 to 0.04 in all 10 pairs has a probability of 1.00 to be the better
# one. With 4 of its scores missing it has 0.28 as y and 1.00 as x; with rope=0.005 "no difference" has 0.72.
# What it means: of models that fail at times the one that is named first looks better than it is.
# What helps: leave out the pairs with a nan before (the 6 pairs that are left say 1.00 again).
source "$(dirname "$0")/environment.bash"
packages baycomp==1.0.3 numpy==2.4.6 scipy==1.17.1
"$python" -W error - <<'END'
from importlib.metadata import version

import numpy
from baycomp import CorrelatedTTest, SignTest, two_on_multiple

first = numpy.linspace(0.5, 0.9, 10)
second = first + numpy.linspace(0.02, 0.04, 10)
missing = second.copy()
missing[:4] = numpy.nan


def better(x, y):
    """The probability that y is the better one, without a rope."""
    return round(float(two_on_multiple(x, y, random_state=0)[2]), 2)


whole, as_y, left = better(first, second), better(first, missing), better(first[4:], missing[4:])
as_x = round(float(two_on_multiple(missing, first, random_state=0)[0]), 2)
rope = round(float(two_on_multiple(first, missing, 0.005, random_state=0)[1]), 2)
sign = round(float(SignTest.probs(first, missing, 0.005, random_state=0)[1]), 2)
correlated = CorrelatedTTest(first, missing).probs()
print(f"baycomp {version('baycomp')}: the second model is better: all scores {whole}; 4 missing, as y {as_y}, as x {as_x}")
print(f"no difference, rope 0.005: signed ranks {rope}, sign test {sign}; 6 pairs: {left}; correlated t-test {correlated}")
assert len(two_on_multiple(first, second, nsamples=10)) == 3
assert whole == left == as_x == 1 and as_y < 0.5
assert rope > 0.5 and sign > 0.3 and numpy.isnan(correlated).all()
END
