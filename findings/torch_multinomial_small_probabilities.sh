#!/usr/bin/env bash
# torch 2.13.0: a gene whose share of the counts is 1e-9 is taken for one of 1.2e-7, by Multinomial and Categorical.
#
# probs and logits are documented as two ways to say the same. Those of probs= are raised to the precision of the number
# type, 1.2e-7 in float32 (2.2e-16 in float64), before their logarithm is taken, and not divided by their sum
# afterwards; those of logits= are not. Among the shares of 20,000 genes many are smaller, as where a gene is off in
# a cell type. A count of such a gene costs a model 16 at the most, however sure it was that there is none, and gives no
# gradient that would mend it. The pages of the two distributions do not mention it, and nothing is said.
# Seen: two cell types that differ in 4,000 of 20,000 genes, each on in one and off in the other; 5,000 counts of a cell
# of the first. Log-likelihoods -4,651 under the right type and -16,857 under the wrong one by scipy, by logits= and in
# float64; -4,651 and -10,206 by probs=. Of 1e-9 the probability is 1.2e-7, the gradient 0 by probs= and 1 by logits=.
# What it means: a model that says "never" of genes that are expressed is hardly worse than one that says "rarely".
# What helps: logits=, of a softmax its input; probs.double().
source "$(dirname "$0")/environment.bash"
packages torch==2.13.0 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
from importlib.metadata import version

import numpy, torch
from scipy.stats import multinomial
from torch.distributions import Categorical, Multinomial

rng = numpy.random.default_rng(0)
level = rng.normal(0, 2.5, 20_000)
off = rng.choice(20_000, (2, 2_000), replace=False)
logits = numpy.stack([level, level])
for kind in range(2):
    logits[kind, off[kind]] -= 20
shares = numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)
counts = rng.multinomial(5_000, shares[0])


def likelihoods(dtype, **form):
    """Log-likelihoods of the counts under the two types."""
    (name, values), x = next(iter(form.items())), torch.tensor(counts, dtype=dtype)
    rows = [{name: torch.tensor(row, dtype=dtype)} for row in values]
    return [round(float(Multinomial(5_000, **row).log_prob(x))) for row in rows]


exact = [round(float(multinomial.logpmf(counts, 5_000, row))) for row in shares]
by_probs, by_logits = likelihoods(torch.float32, probs=shares), likelihoods(torch.float32, logits=logits)
double = likelihoods(torch.float64, probs=shares)
small = (shares < 1.19e-7).mean(axis=1).round(2).tolist()
one = float(Categorical(probs=torch.tensor([1 - 1e-9, 1e-9])).log_prob(torch.tensor(1)).exp())
gradients = []
for parameter in ("probs", "logits"):
    values = torch.tensor([1 - 1e-9, 1e-9]).log() if parameter == "logits" else torch.tensor([1 - 1e-9, 1e-9])
    values.requires_grad_()
    Categorical(**{parameter: values}).log_prob(torch.tensor(1)).backward()
    gradients.append(float(values.grad[1]))
print(f"torch {version('torch')}: 1e-9 has the probability {one:.2g} by probs=; genes below 1.19e-7: {small}")
print(f"log-likelihoods under both types: exact {exact}, probs= {by_probs}, logits= {by_logits}, float64 {double}")
print(f"gradient of the small one's log-probability: probs= {gradients[0]}, logits= {gradients[1]}")
assert 1e-7 < one < 1.3e-7 and gradients == [0, 1] and min(small) > 0.1
assert exact == double and all(abs(a - b) <= 2 for a, b in zip(exact, by_logits, strict=True))
assert by_probs[1] > exact[1] + 5_000 and abs(by_probs[0] - exact[0]) <= 5
END
