import dataclasses
import hashlib
import struct
from typing import Any, Literal

import numpy as np
import pytest
import scipy.sparse as sp

from bie.data.cells import Cells, canonical


@pytest.fixture
def cells() -> Cells:
    rng = np.random.default_rng(1)
    x_ng = rng.poisson(1.0, (40, 12)) + np.eye(40, 12, dtype=int)
    return Cells(
        counts=canonical(sp.csr_matrix(x_ng + (x_ng.sum(1) == 0)[:, None])),
        batch=np.arange(40, dtype=np.int64) % 2,
        batches=("a", "b"),
        label=np.arange(40, dtype=np.int64) % 4,
        labels=("t", "u", "v", "w"),
        cell_names=np.array([f"c{n}" for n in range(40)]),
        gene_names=np.array([f"g{g}" for g in range(12)]),
    )


def test_sizes(cells: Cells) -> None:
    assert (cells.n_cells, cells.n_genes, cells.n_batches, cells.n_labels) == (40, 12, 2, 4)
    assert dataclasses.replace(cells, label=None, labels=()).n_labels == 0


def test_canonical_is_float32_sorted_without_zeros_or_repeats() -> None:
    messy = sp.csr_matrix(
        (np.array([2, 0, 1, 3]), np.array([3, 1, 3, 0]), np.array([0, 3, 4])), shape=(2, 4), dtype=np.int64
    )
    clean = canonical(messy)
    assert clean.dtype == np.float32
    assert clean.data.tolist() == [3, 3]
    assert clean.indices.tolist() == [3, 0]
    assert clean.toarray().tolist() == [[0, 0, 0, 3], [3, 0, 0, 0]]


def test_hash_sees_content_not_form(cells: Cells) -> None:
    wide = cells.counts.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for counts in (wide, canonical(cells.counts.tocsc()), canonical(cells.counts.astype(np.int16))):
        assert dataclasses.replace(cells, counts=counts).sha256 == cells.sha256


def test_hash_sees_every_field(cells: Cells) -> None:
    more = cells.counts.copy()
    more.data[5] += 1
    other_shape = canonical(sp.csr_matrix((more.data, more.indices, more.indptr), shape=(40, 13)))
    assert cells.label is not None
    changes: list[dict[str, Any]] = [
        {"counts": more},
        {"counts": other_shape},
        {"batch": cells.batch[::-1].copy()},
        {"batches": ("a", "c")},
        {"label": cells.label[::-1].copy()},
        {"label": None},
        {"labels": ("t", "u", "v", "x")},
        {"cell_names": cells.cell_names[::-1]},
        {"gene_names": np.array([*cells.gene_names[:-1], "h"])},
        {"library_prior": "pooled"},
    ]
    hashes = {dataclasses.replace(cells, **change).sha256 for change in changes}
    assert len(hashes | {cells.sha256}) == len(changes) + 1


def test_hash_of_counts_and_batches_sees_these_alone(cells: Cells) -> None:
    more = cells.counts.copy()
    more.data[5] += 1
    changes: list[dict[str, Any]] = [
        {"counts": more},
        {"batch": cells.batch[::-1].copy()},
        {"batches": ("a", "c")},
    ]
    for change in changes:
        assert dataclasses.replace(cells, **change).unlabelled_sha256 != cells.unlabelled_sha256
    others: list[dict[str, Any]] = [{"label": None, "labels": ()}, {"cell_names": cells.cell_names[::-1]}]
    others += [{"gene_names": cells.gene_names[::-1]}, {"library_prior": "pooled"}]
    for without in others:
        assert dataclasses.replace(cells, **without).unlabelled_sha256 == cells.unlabelled_sha256


def test_hash_byte_for_byte() -> None:
    cells = Cells(
        counts=canonical(sp.csr_matrix([[0, 2], [5, 0]])),
        batch=np.array([0, 1]),
        batches=("a", "b"),
        label=None,
        labels=(),
        cell_names=np.array(["c", "d"]),
        gene_names=np.array(["g", "h"]),
    )
    header = b'[[2, 2], ["a", "b"], [], "batch", false, ["c", "d"], ["g", "h"]]'
    content = struct.pack("<3q2i2f2q", 0, 1, 2, 1, 0, 2.0, 5.0, 0, 1)
    assert cells.sha256 == hashlib.sha256(header + content).hexdigest()
    shorter = b'[[2, 2], ["a", "b"]]' + content
    assert cells.unlabelled_sha256 == hashlib.sha256(shorter).hexdigest()


def test_library_moments_are_those_of_log_totals_per_batch(cells: Cells) -> None:
    mean_b, var_b = cells.library_moments()
    for b in range(2):
        totals = [cells.counts[n].toarray().sum() for n in range(40) if cells.batch[n] == b]
        logs = [float(np.log(total)) for total in totals]
        mean = sum(logs) / len(logs)
        assert mean_b[b] == pytest.approx(mean, rel=1e-6)
        assert var_b[b] == pytest.approx(sum((x - mean) ** 2 for x in logs) / len(logs), rel=1e-5)
    assert mean_b.dtype == var_b.dtype == np.float32
    assert mean_b[0] != mean_b[1]


@pytest.mark.parametrize("rows", [slice(3, 4), slice(3, 10)])
def test_a_batch_without_spread_has_the_variance_of_all_cells(cells: Cells, rows: slice) -> None:
    """A single cell, or several with a total whose logarithm their mean does not hit exactly."""
    x_ng = cells.counts.toarray()
    x_ng[rows] = 0
    x_ng[rows, 0] = 10
    assert np.full(7, np.log(10.0)).var() > 0
    batch = np.zeros(40, np.int64)
    batch[rows] = 1
    odd = dataclasses.replace(cells, counts=canonical(sp.csr_matrix(x_ng)), batch=batch)
    mean_b, var_b = odd.library_moments()
    log_total = np.log(x_ng.sum(axis=1))
    assert mean_b == pytest.approx([log_total[batch == 0].mean(), np.log(10)], rel=1e-6)
    assert var_b == pytest.approx([log_total[batch == 0].var(), log_total.var()], rel=1e-5)


@pytest.mark.parametrize("prior", ["batch", "pooled"])
def test_cells_of_one_total_have_no_variance_at_all(cells: Cells, prior: Literal["batch", "pooled"]) -> None:
    equal = canonical(sp.csr_matrix(np.full((40, 10), 1)))
    _, var_b = dataclasses.replace(cells, counts=equal, library_prior=prior).library_moments()
    assert var_b.tolist() == [0, 0]


def test_pooled_library_moments_are_those_of_all_cells(cells: Cells) -> None:
    mean_b, var_b = dataclasses.replace(cells, library_prior="pooled").library_moments()
    log_total = np.log(cells.counts.toarray().sum(axis=1))
    assert mean_b == pytest.approx([log_total.mean()] * 2, rel=1e-6)
    assert var_b == pytest.approx([log_total.var()] * 2, rel=1e-5)
