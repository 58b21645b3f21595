"""GEM wells by the ends of barcodes: noted where a batch holds several, told how to make a batch of each."""

import runpy
import shlex
import sys
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from bie.data.barcodes import of_wells, wells
from bie.data.datasets import tenx
from bie.data.datasets.tenx import Tenx
from bie.data.describe import describe
from bie.errors import BadInput

N, G = 60, 20


def barcodes(n_wells: int) -> list[str]:
    random = np.random.default_rng(0)
    return ["".join(random.choice(list("ACGT"), 16)) + f"-{1 + i % n_wells}" for i in range(N)]


def counts(seed: int = 0) -> sp.csr_matrix:
    return sp.csr_matrix(np.random.default_rng(seed).poisson(2, (N, G)).astype(np.float32))


def write_tenx(path: Path, n_wells: int, seed: int = 0) -> None:
    x_gn = sp.csc_matrix(counts(seed).T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(x_gn, name).astype("i8")
        group["shape"], group["barcodes"] = np.array(x_gn.shape), np.array(barcodes(n_wells), "S")
        for name in ("id", "name"):
            group[f"features/{name}"] = np.array([f"g{g}" for g in range(G)], "S")
        group["features/feature_type"] = np.array(["Gene Expression"] * G, "S")
        group["features/genome"] = np.array(["GRCh38"] * G, "S")


def test_wells_are_the_numbers_of_barcodes_alone():
    assert wells(barcodes(3)) is not None
    assert wells(barcodes(1)) is None
    assert (
        wells([f"{code}-0" for code in barcodes(3)]) is None
    )  # as concat and obs_names_make_unique name cells
    assert wells([f"cell-{i % 3}" for i in range(N)]) is None


@pytest.mark.parametrize(
    ("batch_n", "says"),
    [
        (np.zeros(N, np.int64), "numbers samples: a (-1, -2, -3, ...). For"),
        (np.arange(N) % 4 // 2, "numbers samples: a (-1, -2), b (-3, -4). For"),
        (np.arange(N) % 4, None),  # a batch each, as it should be
        (np.arange(N) // 30, None),  # wells of several batches: the number says something else
    ],
)
def test_a_batch_of_several_wells_is_named_with_them(batch_n: np.ndarray, says: str | None):
    found = of_wells(barcodes(4), batch_n, ("a", "b", "c", "d"), "DO THIS")
    assert len(found) == bool(says)
    assert all(str(says) in note for note in found)


def test_a_sample_of_a_sheet_is_not_several_without_a_word(tmp_path: Path):
    write_tenx(tmp_path / "aggr.h5", 2)
    write_tenx(tmp_path / "b.h5", 1, seed=1)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,path\none,aggr.h5\ntwo,b.h5\n")
    settings = Tenx.model_validate({"source": "tenx", "name": "tenx", "samples": sheet})
    (note,) = tenx.load(settings).notes
    assert note.endswith(
        "one (-1, -2). For a batch of each: name the samples' own outputs in the sheet, a line each"
    )
    sheet.write_text("sample,path\none,aggr.h5\n")
    with pytest.raises(
        BadInput, match=r"one batch only \(one\), 2 or more are needed\. Of a file by cellranger"
    ):
        tenx.load(settings)


def test_describe_names_the_wells_and_what_it_says_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_tenx(tmp_path / "aggr.h5", 3)
    with pytest.raises(BadInput, match=r"end in -1, -2, -3, as cellranger aggr") as refused:
        list(describe(tmp_path / "aggr.h5"))
    python, option, code = shlex.split(str(refused.value).partition("tells them: ")[2])
    assert (python, option) == ("python", "-c")
    (tmp_path / "code.py").write_text(code)
    monkeypatch.setattr(sys, "argv", ["code.py"])
    runpy.run_path(str(tmp_path / "code.py"))
    *_, command = describe(tmp_path / "aggr.h5ad")
    assert command.endswith("dataset.batch_key=well")
    data = anndata.read_h5ad(tmp_path / "aggr.h5ad")
    assert data.obs["well"].astype(str).tolist() == [code[-1] for code in barcodes(3)]
    del data.obs["well"]
    data.write_h5ad(tmp_path / "bare.h5ad")
    with pytest.raises(
        BadInput, match=r"can tell batches\. Barcodes end in -1, -2, -3.*dataset\.batch_key=well"
    ):
        list(describe(tmp_path / "bare.h5ad"))


def test_describe_notes_a_column_that_puts_wells_together(tmp_path: Path):
    donor = pd.Series(np.arange(N) % 4 // 2, barcodes(4)).map({0: "x", 1: "y"})
    data = anndata.AnnData(
        counts(), pd.DataFrame({"donor": donor}), pd.DataFrame(index=[f"g{g}" for g in range(G)])
    )
    data.write_h5ad(tmp_path / "donors.h5ad")
    (note,) = [line for line in describe(tmp_path / "donors.h5ad") if line.startswith("note: ")]
    assert "x (-1, -2), y (-3, -4)" in note
    assert 'adata.obs["well"]' in note
