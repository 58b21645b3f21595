"""Products of matrices as kernels read them against those of torch in double precision."""

import pytest
import torch

from bie.kernels.native import call

SIZES = [1, 3, 8, 15, 16, 17, 33, 48, 64, 130]
"""Below, at and beyond what is taken at a time, whichever processor it is."""


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("transposed", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("adds", [False, True])
def test_products_of_all_sizes(k: int, transposed: tuple[bool, bool], adds: bool) -> None:
    random = torch.Generator().manual_seed(0)
    for m in SIZES:
        for n in SIZES:
            matrices = []
            for (rows, columns), turned in zip(((m, k), (k, n)), transposed, strict=True):
                shape = (columns, rows) if turned else (rows, columns)
                matrix = torch.randn(shape, generator=random)
                matrices.append(matrix.mT if turned else matrix)
            left, right = matrices
            out = torch.randn(m, n, generator=random)
            expected = left.double() @ right.double() + (out if adds else 0)
            call("matmul", m, n, k, left, *left.stride(), right, *right.stride(), adds, out)
            assert (out - expected).abs().max() < 2e-6 * (k + 1)
