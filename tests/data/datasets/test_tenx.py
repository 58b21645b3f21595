"""10x samples by a sheet: every form that Cell Ranger and GEO have, against the counts that were written."""

import gzip
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import mmwrite
from scipy.sparse import coo_matrix, csc_matrix

from bie.data.datasets import tenx
from bie.data.datasets.tenx import Tenx
from bie.errors import BadInput

N, G = 15, 8
GENES = [f"ENSG{g:05d}" for g in range(G)]
SYMBOLS = ["MATR3", *(f"S{g}" for g in range(1, G - 1)), "MATR3"]  # symbols repeat in every reference
CODES = [f"AAAC{n}-1" for n in range(N)]

Counts = NDArray[Any]


def counts(seed: int) -> Counts:
    return np.random.default_rng(seed).poisson(1.0, (N, G)) + 1


def write_mtx(
    folder: Path,
    x_ng: Counts,
    prefix: str = "",
    packed: bool = True,
    kinds: str = "",
    features: bool = True,
    cells_in_rows: bool = False,
) -> None:
    """As version 3 (packed, features of three columns), STARsolo (unpacked), version 2 (genes) writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix = io.BytesIO()
    mmwrite(
        matrix,
        coo_matrix(x_ng if cells_in_rows else x_ng.T),
        field="real" if x_ng.dtype.kind == "f" else "integer",
    )
    kind = [{"A": "Antibody Capture"}.get(k, "Gene Expression") for k in kinds.ljust(G, "G")]
    third = [f"\t{k}" if features else "" for k in kind]
    genes = "".join(f"{GENES[g]}\t{SYMBOLS[g]}{third[g]}\n" for g in range(G))
    files = {
        "matrix.mtx": matrix.getvalue(),
        "features.tsv" if features else "genes.tsv": genes.encode(),
        "barcodes.tsv": "".join(f"{code}\n" for code in CODES).encode(),
    }
    for name, content in files.items():
        ending = ".gz" if packed else ""
        (folder / f"{prefix}{name}{ending}").write_bytes(gzip.compress(content) if packed else content)


def write_h5(path: Path, x_ng: Counts, genes: list[str] = GENES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    x_gn = csc_matrix(x_ng.T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(x_gn, name).astype("i4" if name == "data" else "i8")
        group["shape"] = np.array(x_gn.shape, "i4")
        group["barcodes"] = np.array(CODES, "S")
        features = group.create_group("features")
        features["id"], features["name"] = np.array(genes, "S"), np.array(SYMBOLS, "S")
        features["feature_type"] = np.array(["Gene Expression"] * G, "S")
        features["genome"] = np.array(["GRCh38"] * G, "S")
        features["_all_tag_keys"] = np.array(["genome"], "S")


def settings(sheet: Path, **changes: Any) -> Tenx:
    return Tenx.model_validate({"source": "tenx", "name": "tenx", "samples": sheet} | changes)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Two samples; (tests write over the sheet and what it names)."""
    write_mtx(tmp_path / "a", counts(1))
    write_h5(tmp_path / "b.h5", counts(2))
    path = tmp_path / "sheet.csv"
    path.write_text("sample,path\none,a\ntwo,b.h5\n")
    return path


def test_samples_of_both_forms_become_batches(sheet: Path):
    cells = tenx.load(settings(sheet))
    np.testing.assert_array_equal(cells.counts.toarray(), np.vstack([counts(1), counts(2)]))
    assert cells.batches == ("one", "two")
    np.testing.assert_array_equal(cells.batch, np.repeat([0, 1], N))
    assert cells.gene_names.tolist() == GENES
    assert cells.cell_names[[0, N]].tolist() == ["AAAC0-1-one", "AAAC0-1-two"]
    assert (cells.label, cells.labels) == (None, ())


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (lambda at: write_mtx(at / "v2", counts(3), packed=False, features=False), "v2"),
        (lambda at: write_mtx(at / "outs/filtered_gene_bc_matrices/hg19", counts(3), features=False), "outs"),
        (lambda at: write_mtx(at / "Solo.out/Gene/filtered", counts(3), packed=False), "Solo.out"),
        (lambda at: write_mtx(at / "kb", counts(3), cells_in_rows=True), "kb"),
        (lambda at: write_mtx(at / "it", counts(3), prefix="x_"), "it/x_matrix.mtx.gz"),
        (lambda at: write_mtx(at / "run/outs/filtered_feature_bc_matrix", counts(3)), "run"),
        (lambda at: write_h5(at / "run2/outs/filtered_feature_bc_matrix.h5", counts(3)), "run2/outs"),
        (lambda at: write_mtx(at / "geo", counts(3), prefix="GSM1_x_"), "geo/GSM1_x_"),
    ],
)
def test_a_sample_is_found_where_the_tools_leave_it(written, named, sheet: Path):
    written(sheet.parent)
    sheet.write_text(f"Sample\tPath\none\ta\nthree\t{named}\n")  # tabs do as well
    cells = tenx.load(settings(sheet))
    np.testing.assert_array_equal(cells.counts.toarray()[N:], counts(3))


def test_antibodies_are_no_genes(sheet: Path):
    write_mtx(sheet.parent / "a", counts(1), kinds="AGGAG")
    cells = tenx.load(settings(sheet))
    kept = [1, 2, 4, 5, 6, 7]
    assert cells.gene_names.tolist() == [GENES[g] for g in kept]
    np.testing.assert_array_equal(cells.counts.toarray(), np.vstack([counts(1), counts(2)])[:, kept])


def test_repeated_ids_are_genes_of_their_own(sheet: Path):
    """As where versions were cut off: ENSG00000182378 is on X and, as _PAR_Y, on Y."""
    write_h5(sheet.parent / "b.h5", counts(2), [GENES[0], GENES[0], *GENES[2:]])
    write_h5(sheet.parent / "a.h5", counts(1), [GENES[0], GENES[0], *GENES[2:]])
    sheet.write_text("sample,path\none,a.h5\ntwo,b.h5\n")
    cells = tenx.load(settings(sheet))
    np.testing.assert_array_equal(cells.counts.toarray(), np.vstack([counts(1), counts(2)]))
    assert cells.gene_names[:2].tolist() == [GENES[0], f"{GENES[0]}-1"]
    (note,) = cells.notes
    assert note.startswith(f"1 gene name more than once in var_names ({GENES[0]})")


def test_samples_may_share_a_batch(sheet: Path):
    write_mtx(sheet.parent / "c", counts(3))
    sheet.write_text("sample,batch,path\none,day1,a\ntwo,day2,b.h5\nthree,day1,c\n")
    cells = tenx.load(settings(sheet))
    assert cells.batches == ("day1", "day2")
    np.testing.assert_array_equal(cells.batch, np.repeat([0, 1, 0], N))


def test_genes_in_another_order_are_put_in_one(sheet: Path):
    write_h5(sheet.parent / "b.h5", counts(2)[:, ::-1], GENES[::-1])
    cells = tenx.load(settings(sheet))
    np.testing.assert_array_equal(cells.counts.toarray(), np.vstack([counts(1), counts(2)]))


def test_fractions_are_refused_or_rounded_or_kept(sheet: Path):
    write_mtx(sheet.parent / "a", counts(1) + 0.25)
    with pytest.raises(
        BadInput, match=r"a holds \d\.25, which is not a count: \d+ of its \d+ .*dataset\.fractional=round"
    ):
        tenx.load(settings(sheet))
    rounded, kept = (tenx.load(settings(sheet, fractional=x)) for x in ("round", "keep"))
    np.testing.assert_array_equal(rounded.counts.toarray()[:N], counts(1))
    np.testing.assert_array_equal(kept.counts.toarray()[:N], counts(1) + 0.25)
    assert len({rounded.sha256, kept.sha256}) == 2
    assert "a: dataset.fractional=round changed" in rounded.notes[0]


@pytest.mark.parametrize("policy", ["refuse", "round", "keep"])
def test_negative_values_are_never_counts(policy: str, sheet: Path):
    write_mtx(sheet.parent / "a", counts(1) - 2.0)
    with pytest.raises(BadInput, match=r"a holds -1, which is not a count"):
        tenx.load(settings(sheet, fractional=policy))


def test_cells_and_genes_are_left_out_on_demand(sheet: Path):
    x_ng = counts(1)
    x_ng[:5] = 0
    x_ng[:, 3] = 0
    other = counts(2)
    other[3:, 3] = 0
    write_mtx(sheet.parent / "a", x_ng)
    write_h5(sheet.parent / "b.h5", other)
    with pytest.raises(BadInput, match=r"5 cells of 30 without counts.*dataset\.min_counts"):
        tenx.load(settings(sheet))
    cells = tenx.load(settings(sheet, min_counts=1, min_cells=4))
    assert (cells.n_cells, cells.n_genes) == (25, G - 1)
    assert GENES[3] not in cells.gene_names
    assert tenx.load(settings(sheet, min_counts=1, min_cells=3)).n_genes == G


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample,folder\none,a\n", r"columns sample, folder .*Needed: sample \(or batch\) and path"),
        ("sample,path\n", r"0 lines below"),
        ("sample,path\none,a\ntwo,\n", r"line 3: a sample needs a name and a path"),
        ("sample,path\none,a\none,b.h5\n", r"the sample one is on more than one line"),
        ("sample,path\none,a\ntwo,a\n", r"the path .*a is on more than one line"),
        ("sample,batch,path\none,x,a\ntwo,x,b.h5\n", r"one batch only \(x\), 2 or more"),
        (
            "sample,path\none,tree\ntwo,tree/outs/filtered_feature_bc_matrix\n",
            r"the path .*_matrix is on more",
        ),
        ("sample,path\none,a\ntwo,adata.h5ad\n", r"h5ad is an AnnData, no file of 10x.*batch_key=file$"),
        ("sample,path\ncafé,a\ntwo,b\n", r"is no text in UTF-8\. Save it as CSV in UTF-8$"),
        ("sample,path\none,a\ntwo,gone\n", r"gone does not exist \(seen from"),
        ("sample,path\none,a\ntwo,empty\n", r"empty holds none of matrix\.mtx\.gz"),
        ("sample,path\none,a\ntwo,torn\n", r"torn cannot be read as 10x"),
        ("sample,path\none,a\ntwo,geo\n", r"geo holds 2 samples \(x_, y_\)\. The sheet .*path .*geo/x_$"),
        ("sample,path\none,a\ntwo,drops\n", r"drops holds none of .*Its folders: raw_feature_bc_matrix$"),
        ("sample,path\none,a\ntwo,few\n", r"few .*is 8 x 15, but there are names of 8 genes and 14 cells"),
        ("sample,path\none,a\ntwo,text.h5\n", r"text\.h5 cannot be read as 10x"),
        ("sample,path\none,a\ntwo,mouse.h5\n", r"a: 0 of its 8 genes are in all files.*ENSG00000.*ENSMUS0"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_said_in_a_line(text: str, said: str, sheet: Path):
    folder = sheet.parent
    (folder / "empty").mkdir()
    write_mtx(folder / "torn", counts(1))
    write_mtx(folder / "tree/outs/filtered_feature_bc_matrix", counts(1))
    with h5py.File(folder / "adata.h5ad", "w") as file:
        file["obs"], file["var"] = 0, 0
    (folder / "torn/matrix.mtx.gz").write_bytes((folder / "torn/matrix.mtx.gz").read_bytes()[:40])
    for name, prefix in (("geo", "x_"), ("geo", "y_"), ("drops/raw_feature_bc_matrix", ""), ("few", "")):
        write_mtx(folder / name, counts(1), prefix)
    (folder / "few/barcodes.tsv.gz").write_bytes(gzip.compress("\n".join(CODES[1:]).encode()))
    (folder / "text.h5").write_text("no HDF5")
    write_h5(folder / "mouse.h5", counts(2), [f"ENSMUS{g}" for g in range(G)])
    sheet.write_text(text, encoding="latin-1")
    with pytest.raises(BadInput, match=said) as raised:
        tenx.load(settings(sheet))
    assert "\n" not in str(raised.value)


def test_names_of_genes_that_are_not_in_utf_8(sheet: Path):
    for name in ("a", "b"):
        write_mtx(sheet.parent / name, counts(1), packed=False, features=False)
        genes = sheet.parent / name / "genes.tsv"
        genes.write_bytes(genes.read_bytes().replace(b"MATR3", b"\xc4R3"))
    sheet.write_text("sample,path\none,a\ntwo,b\n")
    assert tenx.load(settings(sheet)).gene_names.tolist() == GENES


def test_no_sheet(tmp_path: Path):
    with pytest.raises(BadInput, match=r"dataset\.samples=.*gone\.csv cannot be read: No such file"):
        tenx.load(settings(tmp_path / "gone.csv"))
