"""The PBMC loader on small files of the real formats, against a slow and plain reading of spec A5."""

import csv
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import coo_matrix

from bie.data.datasets import pbmc
from bie.data.datasets.pbmc import Pbmc
from bie.errors import BadInput

GENES = [f"ENSG{g:05d}" for g in range(12)]
LISTED = [GENES[g] for g in (7, 2, 9, 4)]
CODES_8K = [f"AAA{n}-1" for n in range(8)]
CODES_4K = ["AAA3-1", "CCC0-1", "AAA5-1", "CCC1-1", "CCC2-1"]  # two barcodes of the other run come again
# As in the real file: labelled cells in an order of their own, repeated barcodes of the 4k run with -11.
METADATA = ["CCC1-1", "AAA1-1", "AAA3-1", "AAA5-11", "AAA0-1", "AAA3-11", "CCC0-1", "AAA7-1"]
CLUSTERS = [0, 1, 2, 1, 0, 1, 2, 0]


def counts(n_cells: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).poisson(1.0, (n_cells, len(GENES))) + 1


def write_run(path: Path, x_ng: np.ndarray[Any, Any], codes: list[str], leave_out: str = "") -> None:
    matrix = io.BytesIO()
    mmwrite(matrix, coo_matrix(x_ng.T), field="integer")
    files = {
        "matrix.mtx": matrix.getvalue(),
        "barcodes.tsv": "".join(f"{code}\n" for code in codes).encode(),
        "genes.tsv": "".join(f"{gene}\tSYMBOL{gene}\n" for gene in GENES).encode(),
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            if name != leave_out:
                member = tarfile.TarInfo(f"filtered_gene_bc_matrices/GRCh38/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def folder(tmp_path: Path, write_old_pickle: Callable[[Path, dict[str, Any]], None]) -> Path:
    write_run(tmp_path / pbmc.RUN_8K.name, counts(8, 8), CODES_8K)
    write_run(tmp_path / pbmc.RUN_4K.name, counts(5, 4), CODES_4K)
    with (tmp_path / pbmc.GENES.name).open("w", newline="") as file:
        csv.writer(file).writerows([["", "ENSG", "GS"], *([i, gene, "S"] for i, gene in enumerate(LISTED))])
    tables = {
        "barcodes": METADATA,
        "clusters": np.array(CLUSTERS),
        "list_clusters": np.array(["B cells", "T cells", "Other"], dtype=object),
        "design": np.eye(8),
    }
    write_old_pickle(tmp_path / pbmc.METADATA.name, tables)
    return tmp_path


def test_rows_columns_and_labels_one_by_one(folder: Path) -> None:
    cells = pbmc.assemble(folder)
    kept = [(code, label) for code, label in zip(METADATA, CLUSTERS, strict=True) if code[-3:] != "-11"]
    assert cells.cell_names.tolist() == [code for code, _ in kept]
    assert cells.gene_names.tolist() == LISTED
    assert cells.batches == ("pbmc8k", "pbmc4k")
    assert cells.labels == ("B cells", "T cells", "Other")
    assert cells.library_prior == "batch"
    assert cells.label is not None
    for n, (code, label) in enumerate(kept):
        from_4k = code in CODES_4K
        source = counts(5, 4)[CODES_4K.index(code)] if from_4k else counts(8, 8)[CODES_8K.index(code)]
        assert cells.batch[n] == int(from_4k)
        assert cells.label[n] == label
        assert cells.counts[n].toarray().ravel().tolist() == [source[GENES.index(gene)] for gene in LISTED]


def test_the_defect_a_shared_barcode_has_4k_counts_and_the_8k_label(folder: Path) -> None:
    cells = pbmc.assemble(folder)
    assert cells.label is not None
    n = cells.cell_names.tolist().index("AAA3-1")
    assert cells.batch[n] == 1  # although listed as a cell of the 8k run
    assert cells.label[n] == CLUSTERS[METADATA.index("AAA3-1")] != CLUSTERS[METADATA.index("AAA3-11")]
    assert not {"AAA3-11", "AAA5-11", "AAA5-1"} & set(cells.cell_names.tolist())


def test_damaged_archive(folder: Path) -> None:
    write_run(folder / pbmc.RUN_4K.name, counts(5, 4), CODES_4K, leave_out="genes.tsv")
    with pytest.raises(BadInput, match=r"pbmc4k_filtered.* lacks genes\.tsv\. Delete it"):
        pbmc.assemble(folder)


def test_files_and_checksums_are_those_of_the_study() -> None:
    checksums = {file.name: file.checksum for file in pbmc.CARD.files}
    assert checksums == {
        "pbmc8k_filtered_gene_bc_matrices.tar.gz": "md5:cbb3a7553ece7eaddeb8a56df781ccb0",
        "pbmc4k_filtered_gene_bc_matrices.tar.gz": "md5:f61f4deca423ef0fa82d63fdfa0497f7",
        "gene_info.csv": "sha256:cc33ad3226e9750de0f1d9782b9021d6a82224f6dde43005e6d6558eb560f9d5",
        "pbmc_metadata.pickle": "sha256:a7b8b2a5cec508b8f3c080aa28bcc3c6be34ab249bacc4c6b8bc1cec3a966e07",
    }


@pytest.mark.usefixtures("no_network")
def test_without_network_the_error_says_what_from_where_to_where(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        pbmc.load(Pbmc(source="pbmc", name="pbmc", cache=tmp_path / "cache"))
    said = str(caught.value)
    assert said.startswith("pbmc needs 4 files (60 MB) and the download failed. ")
    assert "bie data fetch pbmc --to DIR; then here: dataset.cache=DIR" in said
    assert f"or put into {tmp_path / 'cache'}:" in said
    for file in pbmc.CARD.files:
        assert f"{file.name}  from {file.addresses[0]}" in said
