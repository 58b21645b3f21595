import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from bie.kernels import native
from bie.kernels.counts import SparseCounts, rows_of


def matrix(n: int, g: int, density: float = 0.2, seed: int = 0) -> sp.csr_matrix:
    random = np.random.default_rng(seed)
    x = random.poisson(3, size=(n, g)) * (random.random((n, g)) < density)
    return sp.csr_matrix(x.astype(np.float32))


def pair(n: int, g: int, density: float = 0.2) -> tuple[SparseCounts, Tensor]:
    counts = matrix(n, g, density)
    return rows_of(counts, np.arange(n)), torch.from_numpy(counts.toarray())


def dense_of(counts: SparseCounts) -> Tensor:
    indptr, indices, values = (array.numpy() for array in counts.csr())
    return torch.from_numpy(sp.csr_matrix((values, indices, indptr), shape=counts.shape).toarray())


def times(counts: SparseCounts, weight: Tensor) -> Tensor:
    """``counts @ weight``."""
    product = torch.full((len(counts), weight.shape[1]), torch.nan)
    native.call("multiply", *product.shape, weight, product, *counts.csr())
    return product


def transposed_times(counts: SparseCounts, other: Tensor) -> Tensor:
    """``counts.T @ other``."""
    product = torch.full((counts.shape[1], other.shape[1]), torch.nan)
    native.call("multiply_transposed", *product.shape, other, product, *[None] * 4, *counts.csc())
    return product


def test_rows_are_those_asked_for_in_their_order() -> None:
    counts, rows = matrix(30, 11), np.array([7, 0, 29, 7])
    part = rows_of(counts, rows)
    assert len(part) == 4
    assert part.shape == (4, 11)
    assert torch.equal(dense_of(part), torch.from_numpy(counts.toarray()[rows]))


def test_wide_indices_are_narrowed() -> None:
    counts = matrix(30, 11)
    counts.indices, counts.indptr = counts.indices.astype(np.int64), counts.indptr.astype(np.int64)
    part = rows_of(counts, np.array([3, 4]))
    assert part.indices.dtype == part.indptr.dtype == torch.int32
    assert torch.equal(dense_of(part), torch.from_numpy(counts.toarray()[[3, 4]]))


def test_logarithms_are_those_of_the_dense_tensor() -> None:
    sparse, dense = pair(20, 50, density=0.02)
    assert torch.equal(dense_of(sparse), dense)
    expected = dense.double().log1p().float()
    torch.testing.assert_close(dense_of(sparse.log1p()), expected, rtol=2.5e-7, atol=0)


def test_total_and_logarithm_are_those_of_the_dense_tensor() -> None:
    sparse, dense = pair(20, 50, density=0.02)  # some rows are empty
    assert (dense.sum(-1) == 0).any()
    assert torch.equal(sparse.total(), dense.sum(-1))
    torch.testing.assert_close(times(sparse.log1p(), torch.eye(50)), dense.log1p())


@pytest.mark.parametrize("width", [1, 10, 64, 65, 128, 200])
@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (40, 300)])
def test_products_are_those_of_dense_tensors(shape: tuple[int, int], width: int) -> None:
    sparse, dense = pair(*shape)
    random = torch.Generator().manual_seed(1)
    weight, other = (torch.randn(rows, width, generator=random) for rows in shape[::-1])
    torch.testing.assert_close(times(sparse, weight), dense @ weight, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(transposed_times(sparse, other), dense.mT @ other, rtol=1e-5, atol=1e-5)
    logs = transposed_times(sparse.log1p(), other)
    torch.testing.assert_close(logs, dense.log1p().mT @ other, rtol=1e-5, atol=1e-5)


def test_the_same_bits_each_time() -> None:
    sparse, _ = pair(40, 300)
    weight = torch.randn(300, 128, generator=torch.Generator().manual_seed(1))
    assert torch.equal(times(sparse, weight), times(sparse, weight))


def test_rows_of_a_matrix_that_nobody_may_write_to() -> None:
    """As cells are that lie in a file; what torch says about such an array is an error in these tests."""
    counts = sp.csr_matrix(np.eye(5, 4, dtype=np.float32))
    for array in (counts.data, counts.indices, counts.indptr):
        array.flags.writeable = False
    taken = rows_of(counts, np.array([3, 1]))
    np.testing.assert_array_equal(dense_of(taken).numpy(), counts[[3, 1]].toarray())
