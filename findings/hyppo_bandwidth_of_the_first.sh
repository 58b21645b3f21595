#!/usr/bin/env bash
# hyppo 0.5.2: by HSIC a latent axis and the sequencing depth are independent, because of the depth's unit.
#
# The Gaussian kernel takes the median distance as its bandwidth, says the documentation. The median is that of the
# first variable alone, and the kernel of the second takes it, too. Where the second has larger numbers, no two cells
# are alike in it, and hardly anything is seen to depend on it; where it has smaller ones, all cells are nearly alike,
# and only straight lines are seen. So the p-value depends on units and on which variable is named first. Nothing is
# said, neither by the approximation nor with permutations (auto=False).
# Seen: 100 cells, axis z of sd 1, depth 5000 + 1000 z^2 with noise of 10 %: p < 0.05 in 2 of 20 data sets, in either
# order, as of independent ones in 0 and 3. Of 5000 + 1000 z in 6 of 20, with the depth named first in 20. Both
# standardised: in 20. Distance correlation: in 20 throughout. The kernel between two cells is 0.56 in the mean for z,
# and 0.000 for the depth.
# What it means: "no dependence of the latent space on depth (HSIC)" may be about the unit of depth, or of age in days.
# What helps: to standardise both before; or distance correlation, which has no bandwidth.
source "$(dirname "$0")/environment.bash"
packages hyppo==0.5.2 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pandas==2.3.3 statsmodels==0.15.0
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy
from hyppo.independence import Dcorr, Hsic
from hyppo.tools import compute_kern

rng = numpy.random.default_rng(0)
axes = rng.normal(size=(20, 100))
noise = rng.lognormal(0, 0.1, (20, 100))
shapes = {"line": lambda z: z, "parabola": lambda z: z**2, "nothing": lambda z: 0 * z}


def found(test, shape, sets=20, **options):
    """Share of p < 0.05: the axis named first, the depth named first, both standardised."""
    pvalues = []
    for z, factor in zip(axes[:sets], noise[:sets]):
        depth = (5000 + 1000 * shapes[shape](z)) * factor
        standard = (z - z.mean()) / z.std(), (depth - depth.mean()) / depth.std()
        pvalues.append([test().test(*pair, **options).pvalue for pair in ((z, depth), (depth, z), standard)])
    return (numpy.array(pvalues) < 0.05).mean(axis=0).round(2).tolist()


hsic, dcorr = ({shape: found(test, shape) for shape in shapes} for test in (Hsic, Dcorr))
permuted = {shape: found(Hsic, shape, sets=5, auto=False, reps=100) for shape in ("line", "parabola")}
z = axes[0][:, None]
kernels = compute_kern(z, 5000 + 1000 * z)
alike = [float((kernel.sum() - 100) / (100 * 99)) for kernel in kernels]
print(f"hyppo {version('hyppo')}, p < 0.05 with axis first, depth first, standardised: HSIC {hsic}")
print(f"with permutations {permuted}; distance correlation {dcorr}")
print(f"mean kernel of two cells: axis {alike[0]:.3f}, depth {alike[1]:.3f}")
assert max(hsic["nothing"]) < 0.2 and hsic["line"][0] < 0.6 and max(hsic["parabola"][:2]) < 0.3
assert hsic["line"][1:] == [1, 1] and hsic["parabola"][2] == 1
assert dcorr["line"] == dcorr["parabola"] == [1, 1, 1]
assert max(permuted["parabola"][:2]) < 1 and permuted["line"][2] == permuted["parabola"][2] == 1
assert alike[0] > 0.4 and alike[1] < 0.01
END
