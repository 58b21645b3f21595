"""A matrix is held against the names of its cells and genes before it is read, whoever wrote it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from bie.data.anndata_file import opened
from bie.errors import BadInput

Write = Callable[..., Path]
N, G = 60, 30


@pytest.fixture
def written(adata: anndata.AnnData, tmp_path: Path) -> Write:
    """Write the fixture `adata` and then change the file."""

    def write(change: Callable[[h5py.File], None]) -> Path:
        path = tmp_path / "data.h5ad"
        adata.write_h5ad(path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return write


def put(file: h5py.File, matrix: Any, at: str = "X", **attributes: Any) -> None:
    """Store a matrix as it is, sparse or not, by hand."""
    file.pop(at, None)
    if isinstance(matrix, np.ndarray):
        file[at] = matrix
        return
    group = file.create_group(at)
    group.attrs.update({"encoding-type": f"{matrix.format}_matrix", "shape": matrix.shape} | attributes)
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(matrix, part)


def refusal(path: Path, layer: str | None = None) -> str:
    with pytest.raises(BadInput) as caught, opened(path) as file:
        file.counts(layer)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}").lstrip(": ")


def of(n: int, g: int) -> np.ndarray:
    return 1 + np.random.default_rng(0).poisson(1.0, (n, g))


SHAPES = [(61, 30), (59, 30), (60, 29), (60, 100), (30, 60), (0, 0), (1, 1)]
FORMS: list[Callable[[np.ndarray], Any]] = [np.asarray, sp.csr_matrix, sp.csc_matrix]


@pytest.mark.parametrize(
    ("at", "form", "shape"),
    [
        *(("X", form, shape) for form in FORMS for shape in SHAPES),
        *((at, sp.csr_matrix, (61, 30)) for at in ("layers/counts", "raw/X")),
    ],
)
def test_another_number_of_cells_or_genes(
    written: Write, form: Callable[[np.ndarray], Any], shape: tuple[int, int], at: str
) -> None:
    layer = {"X": None, "layers/counts": "counts", "raw/X": "raw.X"}[at]
    name = {"X": "X", "layers/counts": 'layers["counts"]', "raw/X": "raw.X"}[at]
    said = refusal(written(lambda file: put(file, form(of(*shape)), at)), layer)
    assert said.startswith(f"{name} is {shape[0]} x {shape[1]}, but obs names 60 cells and var 30 genes. ")
    assert ("transpose it" in said) == (shape == (30, 60))


def test_raw_is_held_against_its_own_genes(adata: anndata.AnnData, tmp_path: Path) -> None:
    adata.raw = adata.copy()
    adata[:, :10].copy().write_h5ad(tmp_path / "data.h5ad")
    with h5py.File(tmp_path / "data.h5ad", "r+") as file:
        put(file, sp.csr_matrix(of(N, 10)), "raw/X")
    said = refusal(tmp_path / "data.h5ad", "raw.X")
    assert said.startswith("raw.X is 60 x 10, but obs names 60 cells and raw.var 30 genes. ")


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.ones(N), "a vector of 60"), (np.ones((N, G, 2)), "60 x 30 x 2"), (np.float32(1), "one number")],
)
def test_no_matrix_at_all(written: Write, array: Any, shape: str) -> None:
    said = refusal(written(lambda file: put(file, np.asarray(array))))
    assert said.startswith(f"X is {shape}, but obs names 60 cells and var 30 genes. ")


def spoilt(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    """Change one part of a sparse X; the file is only ever read by bie, which must not follow it."""

    def write(file: h5py.File) -> None:
        matrix = sp.csr_matrix(of(N, G))
        put(file, matrix)
        file["X"].pop(part)
        file["X"][part] = change(getattr(matrix, part).copy())

    return write


def at(place: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("indptr", at(4, 2000), "X: its pointers are out of order at 4 (2000, 150). Reading it could"),
        ("indptr", at(-1, 10**6), "X: its pointers go from 0 to 1000000, its values from 0 to 1800. "),
        ("indptr", lambda a: a[:-1], "X: 60 pointers where 61 are needed. "),
        ("indices", at(7, 30), "X: it has the index 30, beyond 0 to 29. "),
        ("indices", at(7, -1), "X: it has the index -1, beyond 0 to 29. "),
        ("indices", lambda a: a[:-1], "X has 1,800 values, but 1,799 indices. "),
        ("data", lambda a: a[:-1], "X has 1,799 values, but 1,800 indices. "),
    ],
)
def test_parts_of_a_sparse_matrix_that_do_not_fit(
    written: Write, part: str, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    assert refusal(written(spoilt(part, change))).startswith(said)


def test_indices_that_do_not_fit_are_named_before_values_that_are_no_counts(written: Write) -> None:
    def write(file: h5py.File) -> None:
        matrix = sp.csr_matrix(of(N, G) / 4)
        put(file, matrix)
        file["X"].pop("indices")
        file["X"]["indices"] = matrix.indices + 0.25

    assert refusal(written(write)).startswith("X: its indices are no whole numbers (float64). ")


@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_a_part_that_is_gone(written: Write, part: str) -> None:
    said = f"X is sparse, but its {part} are gone. Write the file anew from where it was made"
    assert refusal(written(lambda file: file["X"].pop(part))) == said


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">i8", "u2", "u8", "i1", "?", "g"])
@pytest.mark.parametrize("form", FORMS)
def test_every_type_of_number(written: Write, form: Callable[[np.ndarray], Any], dtype: str) -> None:
    x_ng = np.minimum(of(N, G), 1 if dtype == "?" else 100)
    matrix = form(x_ng)

    def change(file: h5py.File) -> None:
        put(file, matrix if isinstance(matrix, np.ndarray) else matrix.copy())
        values = file["X"] if isinstance(matrix, np.ndarray) else file["X/data"]
        stored, name = values[...].astype(dtype), values.name
        del file[name]
        file[name] = stored

    with opened(written(change)) as file:
        assert (file.counts(None).toarray() == x_ng).all()


@pytest.mark.parametrize("dtype", ["c8", "S3"])
def test_types_that_are_no_numbers(written: Write, dtype: str) -> None:
    said = refusal(written(lambda file: put(file, np.ones((N, G)).astype(dtype))))
    assert said.startswith("X holds values of type ")


@pytest.mark.parametrize("form", FORMS[1:])
def test_by_hand_without_a_word_on_its_form(written: Write, form: Callable[[np.ndarray], Any]) -> None:
    """Pointers tell rows from columns where there are not as many of both."""
    x_ng = of(N, G)

    def change(file: h5py.File) -> None:
        put(file, form(x_ng))
        for name in list(file["X"].attrs):
            del file["X"].attrs[name]

    with opened(written(change)) as file:
        assert (file.counts(None).toarray() == x_ng).all()


def test_the_form_of_old_files(written: Write) -> None:
    """AnnData before 0.7 and h5sparse."""
    x_ng = of(N, G)

    def change(file: h5py.File) -> None:
        put(file, sp.csr_matrix(x_ng))
        for name in list(file["X"].attrs):
            del file["X"].attrs[name]
        file["X"].attrs.update({"h5sparse_format": "csr", "h5sparse_shape": (N, G)})

    with opened(written(change)) as file:
        assert (file.counts(None).toarray() == x_ng).all()


@pytest.mark.parametrize("layer", ["raw/counts", "a/b/c"])
@pytest.mark.parametrize("form", FORMS)
def test_a_layer_with_a_slash_is_a_layer(
    adata: anndata.AnnData, tmp_path: Path, form: Callable[[np.ndarray], Any], layer: str
) -> None:
    def change(file: h5py.File) -> None:
        put(file, form(of(N, G)), f"layers/{layer}")

    adata.write_h5ad(tmp_path / "data.h5ad")
    with h5py.File(tmp_path / "data.h5ad", "r+") as file:
        change(file)
    with opened(tmp_path / "data.h5ad") as opened_file:
        assert list(opened_file.matrices) == [None, layer]
        assert (opened_file.counts(layer).toarray() == of(N, G)).all()
    said = refusal(tmp_path / "data.h5ad", "other")
    assert f"layers are: {layer}. " in said


def test_x_that_is_written_down_as_absent(written: Write) -> None:
    def change(file: h5py.File) -> None:
        del file["X"]
        file["X"] = h5py.Empty("f4")
        file["X"].attrs["encoding-type"] = "null"

    assert refusal(written(change)).startswith("has no X; it has no layers. ")


def test_neither_dense_nor_sparse(written: Write) -> None:
    def change(file: h5py.File) -> None:
        del file["X"]
        file.create_group("X")

    assert refusal(written(change)).startswith(
        "X is neither an array nor a sparse matrix of data, indices and"
    )


def test_other_things_under_the_names_of_matrices(written: Write) -> None:
    def change(file: h5py.File) -> None:
        file.pop("layers")
        file["layers"] = np.zeros(3)
        file["raw"] = np.zeros(3)

    with opened(written(change)) as file:
        assert list(file.matrices) == [None]


def test_an_unknown_encoding(written: Write) -> None:
    def change(file: h5py.File) -> None:
        file["X"].attrs["encoding-type"] = "future_matrix"

    assert refusal(written(change)).startswith('X has the encoding "future_matrix", which this version')
