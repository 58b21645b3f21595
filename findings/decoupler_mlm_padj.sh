#!/usr/bin/env bash
# decoupler 2.2.0 (and 2.3.1): the adjusted p-values of mlm are not adjusted.
#
# mt.mlm is documented to return p-values that are "if applicable" adjusted by Benjamini-Hochberg, and writes them to
# obsm["padj_mlm"]. They are those of the t-tests as they come. The methods that do adjust theirs (ulm, zscore and
# others) write to names of the same form, and mt.decouple puts all side by side. Asked whether padj_mlm is adjusted, a
# maintainer answered that it is (scverse/decoupler, issue 313).
# Seen: noise of 40 samples and 2,000 genes, 100 gene sets of 15: 5.5 % of mlm's 4,000 "padj" are below 0.05, with some
# in each of the 40 samples, and they are the p-values of the t-tests to 1e-15. Of ulm's 0.1 % are, in 2 samples.
# What it means: every twentieth pathway or transcription factor is active, "at an FDR of 5 %", in data without any.
# What helps: scipy.stats.false_discovery_control(padj, axis=1).
source "$(dirname "$0")/environment.bash"
packages decoupler==2.2.0 anndata==0.12.19 numba==0.68.1 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import decoupler, numpy, pandas
from scipy.stats import false_discovery_control, t

rng = numpy.random.default_rng(0)
genes = [f"gene {number}" for number in range(2000)]
noise = pandas.DataFrame(rng.normal(size=(40, 2000)), [f"sample {number}" for number in range(40)], genes)
sets = {f"set {number:03}": rng.choice(genes, 15, replace=False) for number in range(100)}
net = pandas.DataFrame([(name, gene, 1.0) for name, found in sets.items() for gene in found])
net.columns = ["source", "target", "weight"]


def below(adjusted):
    """The share of p-values below 0.05, and in how many samples there is one."""
    return round(float((adjusted < 0.05).mean()), 3), int((adjusted < 0.05).any(axis=1).sum())


scores, mlm = (table.to_numpy() for table in decoupler.mt.mlm(noise, net))
ulm = decoupler.mt.ulm(noise, net)[1].to_numpy()
tests = 2 * t.sf(abs(scores), df=2000 - 100 - 1)
error = float(abs(mlm - tests).max())
right = below(false_discovery_control(tests, axis=1))
found = f"padj below 0.05 and samples with one: mlm {below(mlm)}, ulm {below(ulm)}"
print(f"decoupler {version('decoupler')}, noise: {found}")
print(f"mlm's differ from the t-tests' by at most {error:.1e}; by Benjamini-Hochberg {right}")
assert error < 1e-5 and 0.03 < below(mlm)[0] < 0.07 and below(mlm)[1] > 35
assert below(ulm)[0] < 0.01 and right[0] < 0.01
END
