#!/usr/bin/env bash
# harmonypy 2.1.0: one cell whose embedding is nan makes the LISI of a fifth of the other cells 0.
#
# compute_lisi searches each cell's nearest neighbours. A nan is neither near nor far, and upsets the search for other
# cells too: their LISI is 0, where by the documentation it is the number of batches around them, 1 at the least.
# Missing labels are an error; of missing coordinates nothing is said. Version 0.0.10, which searched with
# scikit-learn, refused them.
# Seen: 400 cells in two batches that are mixed, mean LISI 1.89. One cell nan: 86 of the 399 others have 0, and the mean
# of the others is 1.49, where it is 1.89 without that cell. 20 cells nan: all of the 380 others have 0.
# What it means: iLISI of a good integration falls; cLISI, of cell types, where low is good, gets better by a failure.
# What helps: numpy.isfinite(z).all() before; lisi.min() >= 1 after.
source "$(dirname "$0")/environment.bash"
packages harmonypy==2.1.0 pandas==2.3.3 numpy==2.4.6
"$python" - <<'END'
from importlib.metadata import version

import harmonypy, numpy, pandas

rng = numpy.random.default_rng(0)
batch = numpy.repeat(["a", "b"], 200)
z = rng.normal(size=(400, 3))


def lisi(z, batch):
    return harmonypy.compute_lisi(z, pandas.DataFrame({"batch": batch}), ["batch"])[:, 0]


def with_nan(missing):
    """Mean LISI of the other cells, how many of them have 0, and the mean where the missing ones are left out."""
    spoilt = z.copy()
    spoilt[missing] = numpy.nan
    rest = numpy.setdiff1d(numpy.arange(400), missing)
    found, right = lisi(spoilt, batch)[rest], lisi(z[rest], batch[rest])
    return round(float(found.mean()), 2), int((found == 0).sum()), round(float(right.mean()), 2)


whole = round(float(lisi(z, batch).mean()), 2)
one, twenty = with_nan([123]), with_nan(rng.choice(400, 20, replace=False))
print(f"harmonypy {version('harmonypy')}: mean LISI {whole}; others' mean, how many have 0, mean without the cells:")
print(f"one nan {one}; twenty {twenty}")
try:
    lisi(z, numpy.where(numpy.arange(400) == 0, None, batch))
except ValueError as error:
    print(f"a missing label: ValueError {error}")
else:
    raise SystemExit("a missing label was no error")
for mean, zeros, right in (one, twenty):
    assert right > 1.8 and mean < right - 0.1 and zeros > 20
END
