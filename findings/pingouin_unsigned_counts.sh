#!/usr/bin/env bash
# pingouin 0.7.0 (scipy 1.17.1): of unsigned counts whichever group is named first is higher, also in paired tests.
#
# Counts are often stored as unsigned integers, of which a difference below 0 wraps around to a large number above it.
# mwu takes such differences for the common language effect size (CLES), the share of pairs in which x is higher than y,
# and so counts all pairs that are not equal. wilcoxon takes them for CLES and for the rank-biserial correlation, which
# is then 1. ttest(paired=True) hands the data to scipy.stats.ttest_rel, which takes them for t. Nothing is said. The
# p-values of mwu and wilcoxon are right, and compute_effsize is.
# Seen: genes per cell in two groups of 200, mean 100 (x) and 120 (y). uint16 and uint32: CLES of mwu 0.99, with groups
# swapped 0.99; int64: 0.09 and 0.91. Paired, uint16: RBC 1.0 and t 44.9 where int64 gives -0.95 and -18.0.
# What it means: of any two groups the first one is higher, or a paired difference is found with the sign turned.
# What helps: counts.astype(float) before; CLES of mwu as (RBC + 1) / 2.
source "$(dirname "$0")/environment.bash"
packages pingouin==0.7.0 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy, pingouin, scipy.stats

rng = numpy.random.default_rng(0)
low, high = rng.poisson(100, 200), rng.poisson(120, 200)
expected = round(float((low[:, None] > high).mean() + (low[:, None] == high).mean() / 2), 2)


def unpaired(kind, first, second):
    """CLES by mwu and by compute_effsize, and (RBC + 1) / 2."""
    x, y = first.astype(kind), second.astype(kind)
    test = pingouin.mwu(x, y).iloc[0]
    found = test["CLES"], pingouin.compute_effsize(x, y, eftype="CLES"), (test["RBC"] + 1) / 2
    return [round(float(size), 2) for size in found]


def paired(kind):
    """RBC by wilcoxon, t by pingouin and by scipy."""
    x, y = low.astype(kind), high.astype(kind)
    t = pingouin.ttest(x, y, paired=True)["T"].iloc[0]
    found = pingouin.wilcoxon(x, y)["RBC"].iloc[0], t, scipy.stats.ttest_rel(x, y).statistic
    return [round(float(size), 2) for size in found]


found = {kind: unpaired(kind, low, high) for kind in ("uint16", "uint32", "int64", "float32")}
swapped = {kind: unpaired(kind, high, low) for kind in ("uint16", "int64")}
pairs = {kind: paired(kind) for kind in ("uint16", "int64", "float32")}
print(f"pingouin {version('pingouin')}, CLES by mwu, by compute_effsize, and (RBC + 1) / 2: {found}")
print(f"groups swapped: {swapped}")
print(f"paired: RBC, t by pingouin, t by scipy {version('scipy')}: {pairs}")
assert found["uint16"] == found["uint32"] and found["uint16"][0] > 0.95 and swapped["uint16"][0] > 0.95
assert found["uint16"][1:] == found["int64"][1:] and found["int64"] == found["float32"] == [expected] * 3
assert expected < 0.2 and swapped["int64"] == [round(1 - expected, 2)] * 3
assert pairs["uint16"][0] == 1 and pairs["uint16"][1] == pairs["uint16"][2] > 2
assert pairs["int64"] == pairs["float32"] and pairs["int64"][0] < -0.9 and pairs["int64"][1] < -10
END
