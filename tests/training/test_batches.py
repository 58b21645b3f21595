import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from bie import kernels
from bie.data.cells import Cells, canonical
from bie.kernels.counts import SparseCounts
from bie.training.batches import chunks, dense, minibatches, sparse


def tiny(n: int = 30) -> Cells:
    x = np.random.default_rng(0).poisson(0.5, size=(n, 7))
    return Cells(
        counts=canonical(sp.csr_matrix(x)),
        batch=np.arange(n) % 3,
        batches=("a", "b", "c"),
        label=None,
        labels=(),
        cell_names=np.arange(n).astype(str),
        gene_names=np.arange(7).astype(str),
    )


@pytest.mark.parametrize(
    ("n", "size", "sizes"),
    [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (9, 4, [4, 5]), (5, 4, [5]), (3, 4, [3]), (2, 2, [2]), (3, 2, [3])],
)
def test_every_cell_once_and_no_cell_alone(n: int, size: int, sizes: list[int]) -> None:
    rows = np.arange(100, 100 + n)
    batches = list(minibatches(rows, size, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == sizes
    assert sorted(np.concatenate(batches)) == rows.tolist()


def test_order_changes_by_epoch_and_not_by_size() -> None:
    rows, order, other = np.arange(50), np.random.default_rng(0), np.random.default_rng(0)
    first, second = (np.concatenate(list(minibatches(rows, 8, order))) for _ in range(2))
    assert first.tolist() != second.tolist()
    assert first.tolist() == np.concatenate(list(minibatches(rows, 16, other))).tolist()


def test_dense_holds_the_rows_asked_for() -> None:
    cells = tiny()
    x, batch, label = dense(cells, np.array([5, 0, 17]))
    assert isinstance(x, torch.Tensor)
    assert x.dtype == torch.float32
    assert label is None
    assert x.tolist() == cells.counts.toarray()[[5, 0, 17]].tolist()
    assert batch.tolist() == [2, 0, 2]


def test_dense_reads_mapped_arrays(tmp_path: Path) -> None:
    cells, mapped = tiny(), {}
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(cells.counts, name))
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    counts = sp.csr_matrix((mapped["data"], mapped["indices"], mapped["indptr"]), shape=cells.counts.shape)
    on_disk = Cells(counts, cells.batch, cells.batches, None, (), cells.cell_names, cells.gene_names)
    x, *_ = dense(on_disk, np.array([3, 4]))
    assert isinstance(x, torch.Tensor)
    x += 1  # a copy: the file stays as it is
    assert (x - 1).tolist() == cells.counts.toarray()[[3, 4]].tolist()


def test_chunks_keep_the_order() -> None:
    assert [part.tolist() for part in chunks(np.array([4, 3, 2, 1, 0]), size=2)] == [[4, 3], [2, 1], [0]]


@pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")
def test_sparse_minibatches_hold_what_dense_ones_do() -> None:
    cells = dataclasses.replace(tiny(), label=np.arange(30) % 4, labels=tuple("wxyz"))
    x, batch, label = sparse(cells, np.array([5, 0, 17]))
    expected, expected_batch, expected_label = dense(cells, np.array([5, 0, 17]))
    assert isinstance(x, SparseCounts)
    assert isinstance(expected, torch.Tensor)
    indptr, indices, values = (array.numpy() for array in x.csr())
    assert (sp.csr_matrix((values, indices, indptr), shape=x.shape).toarray() == expected.numpy()).all()
    assert torch.equal(batch, expected_batch)
    assert label is not None
    assert expected_label is not None
    assert label.tolist() == expected_label.tolist() == [1, 0, 1]
