"""Tables of AnnData as its versions, R's writers and hands write them; what nobody asks for does no harm."""

import warnings
from collections.abc import Callable
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from bie.data import grouping
from bie.data.anndata_file import opened
from bie.data.cells import Cells
from bie.data.datasets import h5ad
from bie.data.datasets.h5ad import H5ad
from bie.errors import BadInput

N = 60
R_MISSING = -(2**31)
TEXT = h5py.string_dtype()
Change = Callable[[h5py.Group], None]
Settings = Callable[..., H5ad]


@pytest.fixture
def load(adata: anndata.AnnData, h5ad_settings: Settings) -> Callable[..., Cells]:
    """Write the fixture `adata`, change its obs by hand, and load it."""

    def changed(change: Change, **settings: Any) -> Cells:
        chosen = h5ad_settings(**settings)
        adata.write_h5ad(chosen.path)
        with h5py.File(chosen.path, "r+") as file:
            change(file["obs"])
        return h5ad.load(chosen)

    return changed


@pytest.fixture
def refused(load: Callable[..., Cells], h5ad_settings: Settings) -> Callable[..., str]:
    """The one line with which `load` refuses, without the path."""

    def message(change: Change, **settings: Any) -> str:
        with pytest.raises(BadInput) as caught:
            load(change, **settings)
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"{h5ad_settings().path}: ")

    return message


def put(key: str, values: Any, **attributes: Any) -> Change:
    """Store a column as it is; text as HDF5 has it."""

    def change(obs: h5py.Group) -> None:
        obs.pop(key, None)
        if values is None:
            return
        array = np.asarray(values)
        dtype = TEXT if array.dtype.kind in "UO" else None
        obs.create_dataset(key, data=array.astype(object) if dtype else array, dtype=dtype)
        obs[key].attrs.update(attributes)

    return change


def factor(codes: Any, levels: list[str]) -> Change:
    """A categorical of today's AnnData with these codes, whatever they are."""

    def change(obs: h5py.Group) -> None:
        obs.pop("batch")
        group = obs.create_group("batch")
        group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
        group["codes"] = codes
        group.create_dataset("categories", data=levels, dtype=TEXT)

    return change


def batches(cells: Cells) -> list[str]:
    return [cells.batches[code] for code in cells.batch]


TWO = np.arange(N) % 2


# columns of other writers


def of_seuratdisk(obs: h5py.Group) -> None:
    """Levels beside the table, and no reference to them."""
    put("batch", TWO.astype(np.int32))(obs)
    obs.create_dataset("__categories/batch", data=["early", "late"], dtype=TEXT)


def of_anndata_0_7(obs: h5py.Group) -> None:
    of_seuratdisk(obs)
    obs["batch"].attrs["categories"] = obs["__categories/batch"].ref
    obs.attrs["encoding-version"] = "0.1.0"


def of_anndata_0_13(obs: h5py.Group) -> None:
    """Levels of pandas 3: text that may be missing."""
    obs.pop("batch")
    group = obs.create_group("batch")
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0"})
    group["codes"] = TWO.astype(np.int8)
    levels = group.create_group("categories")
    levels.attrs.update({"encoding-type": "nullable-string-array", "encoding-version": "0.1.0"})
    levels.create_dataset("values", data=["early", "late"], dtype=TEXT)
    levels["mask"] = np.zeros(2, bool)


def of_nullable_text(obs: h5py.Group) -> None:
    obs.pop("batch")
    group = obs.create_group("batch")
    group.attrs.update({"encoding-type": "nullable-string-array", "encoding-version": "0.1.0"})
    group.create_dataset("values", data=np.array(["early", "late"], object)[TWO], dtype=TEXT)
    group["mask"] = np.zeros(N, bool)


def of_h5seurat(obs: h5py.Group) -> None:
    """Levels and values numbered from 1, without an encoding."""
    obs.pop("batch")
    obs.create_dataset("batch/levels", data=["early", "late"], dtype=TEXT)
    obs["batch/values"] = (1 + TWO).astype(np.int32)


def of_fixed_text(obs: h5py.Group) -> None:
    put("batch", np.array([b"early", b"late"])[TWO])(obs)


def of_an_enumeration(obs: h5py.Group) -> None:
    obs.pop("batch")
    kind = h5py.enum_dtype({"early": 0, "late": 1, "NA": 2}, basetype="u1")
    obs.create_dataset("batch", data=TWO.astype(np.uint8), dtype=kind)


def of_one_column_each(obs: h5py.Group) -> None:
    """An array of one column, as R writes a matrix."""
    put("batch", np.array([[b"early"], [b"late"]])[TWO])(obs)


@pytest.mark.parametrize(
    "change",
    [
        of_seuratdisk,
        of_anndata_0_7,
        of_anndata_0_13,
        of_nullable_text,
        of_h5seurat,
        of_fixed_text,
        of_an_enumeration,
        of_one_column_each,
        factor(TWO.astype(np.int64), ["early", "late"]),
    ],
)
def test_the_names_of_batches_whoever_wrote_them(load: Callable[..., Cells], change: Change) -> None:
    assert batches(load(change)) == [["early", "late"][code] for code in TWO]


def test_text_of_windows(load: Callable[..., Cells]) -> None:
    assert load(put("batch", np.array(["früh".encode("latin-1"), b"late"])[TWO])).batches == ("früh", "late")


def strip(obs: h5py.Group) -> None:
    """What nobody but AnnData writes."""
    for group in (obs, *(node for node in obs.values() if isinstance(node, h5py.Group))):
        for name in list(group.attrs):
            if name != "_index":
                del group.attrs[name]


def test_a_table_without_an_encoding(load: Callable[..., Cells]) -> None:
    cells = load(strip)
    assert cells.batches == ("early", "late", "mid")
    assert cells.cell_names.tolist() == [f"c{n}" for n in range(N)]


def test_no_word_on_the_index(load: Callable[..., Cells]) -> None:
    def change(obs: h5py.Group) -> None:
        strip(obs)
        del obs.attrs["_index"]

    assert load(change).cell_names[1] == "c1"


def test_a_column_that_is_not_listed_is_a_column(load: Callable[..., Cells]) -> None:
    assert load(put("chip", np.array([b"u", b"v"])[TWO]), batch_key="chip").batches == ("u", "v")


def test_a_column_with_a_slash(load: Callable[..., Cells]) -> None:
    assert load(put("chip/lane", np.array(["1/a", "1/b"])[TWO]), batch_key="chip/lane").batches == (
        "1/a",
        "1/b",
    )


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "g", ">i4", ">u8", "?"])
@pytest.mark.parametrize("as_levels", [False, True])
def test_number_types_that_pandas_lacks(load: Callable[..., Cells], dtype: str, as_levels: bool) -> None:
    values = np.array([1, 0.5 if np.dtype(dtype).kind == "f" else 0]).astype(dtype)

    def change(obs: h5py.Group) -> None:
        if as_levels:
            factor(TWO.astype(np.int8), ["u", "v"])(obs)
            del obs["batch/categories"]
            obs["batch/categories"] = values
        else:
            put("batch", values[TWO])(obs)

    cells = load(change)
    assert sorted(cells.batches) == sorted(
        str(value) for value in values.astype(values.dtype.newbyteorder("="))
    )
    assert len(set(batches(cells)[::2])) == 1


# missing values of R

with_missing = np.where(np.arange(N) < 5, R_MISSING, 1 + TWO)


def missing_level(obs: h5py.Group) -> None:
    """After `astype("category")` in Python."""
    put("batch", np.where(np.arange(N) < 5, 0, TWO).astype(np.int8))(obs)
    obs["__categories/batch"] = np.array([R_MISSING, 1])


def missing_of_seuratdisk(obs: h5py.Group) -> None:
    of_seuratdisk(obs)
    obs["batch"][:5] = R_MISSING


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (
            put("batch", with_missing.astype(np.int32)),
            'adata = adata[adata.obs["batch"] != -2147483648].copy()',
        ),
        (
            put("batch", with_missing.astype(np.int64)),
            'adata = adata[adata.obs["batch"] != -2147483648].copy()',
        ),
        (
            put("batch", with_missing.astype(np.float64)),
            'adata = adata[adata.obs["batch"] != -2147483648].copy()',
        ),
        (missing_of_seuratdisk, 'adata = adata[adata.obs["batch"] != -2147483648].copy()'),
        (
            factor(np.where(np.arange(N) < 5, R_MISSING, TWO).astype(np.int32), ["early", "late"]),
            'in R: x <- x[, !is.na(x[["batch"]])]',
        ),
    ],
)
def test_the_missing_integer_of_r(refused: Callable[..., str], change: Change, remedy: str) -> None:
    said = refused(change)
    assert said.startswith(
        "dataset.batch_key=batch has no value in 5 of 60 cells (R's missing integer, -2147483648). Name"
    )
    assert said.endswith(remedy)


def test_the_remedy_for_the_missing_integer_works(
    refused: Callable[..., str], h5ad_settings: Settings
) -> None:
    remedy = refused(missing_of_seuratdisk).split("drop them: ")[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of anndata, that the column has no encoding
        names: dict[str, Any] = {"adata": anndata.read_h5ad(h5ad_settings().path)}
    exec(remedy, names)
    assert names["adata"].n_obs == N - 5


def test_missing_codes_and_masks(refused: Callable[..., str]) -> None:
    said = refused(factor(np.where(np.arange(N) < 5, -1, TWO).astype(np.int8), ["early", "late"]))
    assert said.startswith("dataset.batch_key=batch has no value in 5 of 60 cells. ")

    def masked(obs: h5py.Group) -> None:
        of_nullable_text(obs)
        obs["batch/mask"][:5] = True

    assert refused(masked).startswith("dataset.batch_key=batch has no value in 5 of 60 cells. ")


def test_no_value_at_all(refused: Callable[..., str]) -> None:
    said = refused(put("batch", np.full(N, np.nan)))
    assert said.startswith("dataset.batch_key=batch has no value in any cell. Columns with")


# parts that do not fit, or are not there


def test_columns_of_another_length(refused: Callable[..., str]) -> None:
    fit = 'obs["batch"] has {} values, but obs names 60 cells, so they cannot be matched'
    others = ". Columns with 2 to 200 values: cell_type (2), day (4)"
    assert refused(put("batch", np.arange(50) % 2)) == fit.format(50) + others
    assert refused(put("batch", np.arange(70) % 2)) == fit.format(70) + others
    assert refused(factor(np.arange(50, dtype=np.int8) % 2, ["u", "v"])) == fit.format(50) + others


@pytest.mark.parametrize("code", [2, -2, 100])
def test_codes_without_a_level(refused: Callable[..., str], code: int) -> None:
    codes = TWO.astype(np.int8)
    codes[7] = code
    said = f'obs["batch"] has the code {code}, but 2 levels (0 to 1). Columns with'
    assert refused(factor(codes, ["u", "v"])).startswith(said)


def test_a_mask_of_another_length(refused: Callable[..., str]) -> None:
    def change(obs: h5py.Group) -> None:
        of_nullable_text(obs)
        del obs["batch/mask"]
        obs["batch/mask"] = np.zeros(50, bool)

    assert refused(change).startswith('obs["batch"] has 60 values, but a mask of 50. Columns with')


def test_a_level_named_twice(refused: Callable[..., str]) -> None:
    """Two batches never share a name."""
    said = refused(factor(TWO.astype(np.int8), ["u", "u"]))
    assert said.startswith('obs["batch"] has the level "u" twice. Name its levels anew where it was made')


def unknown(obs: h5py.Group) -> None:
    obs["score"].attrs["encoding-type"] = "future-array"


def gone(obs: h5py.Group) -> None:
    del obs["score"]


def link_to_nowhere(obs: h5py.Group) -> None:
    gone(obs)
    obs["score"] = h5py.SoftLink("/nowhere")


def lists(obs: h5py.Group) -> None:
    obs.pop("score")
    obs.create_dataset("score", data=[np.arange(n % 3) for n in range(N)], dtype=h5py.vlen_dtype("i4"))


def in_the_table(obs: h5py.Group) -> None:
    put("score", np.zeros(N, dtype=[("a", "i4"), ("b", "i4")]))(obs)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (unknown, 'obs["score"] has the encoding "future-array", which this version of bie does not know'),
        (gone, 'obs["score"] is listed in column-order, but its data are gone'),
        (link_to_nowhere, 'obs["score"] is listed in column-order, but its data are gone'),
        (in_the_table, 'obs["score"] is a table, where a column is needed'),
        (put("score", np.zeros((N, 2))), 'obs["score"] has 60 x 2 values, where one for each row is needed'),
        (
            put("score", np.zeros(N, "c16")),
            'obs["score"] holds values of type complex128, neither numbers nor',
        ),
        (put("score", np.zeros(N, "V4")), 'obs["score"] holds values of type |V4, neither numbers nor text'),
        (lists, 'obs["score"] holds values of type object, neither numbers nor text'),
        (put("score", np.zeros(7)), 'obs["score"] has 7 values, but obs names 60 cells'),
    ],
)
def test_a_column_that_nobody_asked_for(
    load: Callable[..., Cells], refused: Callable[..., str], h5ad_settings: Settings, change: Change, why: str
) -> None:
    assert load(change).batches == ("early", "late", "mid")
    with opened(h5ad_settings().path) as file:
        assert list(file.obs.unreadable) == ["score"]
        assert file.obs.unreadable["score"].startswith(why)
        assert list(grouping.groupings(file.obs)) == ["batch", "cell_type", "day"]
    assert refused(change, batch_key="score").startswith(why)


@pytest.mark.parametrize("table", ["obs", "var"])
def test_the_names_of_the_rows_are_gone(adata: anndata.AnnData, h5ad_settings: Settings, table: str) -> None:
    path = h5ad_settings().path
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file[table][file[table].attrs["_index"]]
    with pytest.raises(
        BadInput, match=f"{table} has no index: {table}/_index, which names its rows, is not there"
    ):
        h5ad.load(h5ad_settings())


def test_a_column_of_var_is_never_read(adata: anndata.AnnData, h5ad_settings: Settings) -> None:
    adata.var["mean"] = 1.0
    adata.write_h5ad(h5ad_settings().path)
    with h5py.File(h5ad_settings().path, "r+") as file:
        file["var/mean"].attrs["encoding-type"] = "future-array"
        file["uns"].attrs["encoding-type"] = "future-dict"
    assert h5ad.load(h5ad_settings()).n_cells == N


def test_a_name_in_another_case(refused: Callable[..., str]) -> None:
    said = refused(lambda obs: None, batch_key="Cell Type")
    assert said.startswith(
        "dataset.batch_key=Cell Type is not in obs. Did you mean cell_type? Columns with 2 to"
    )


def test_pandas_reads_the_same(
    load: Callable[..., Cells], adata: anndata.AnnData, h5ad_settings: Settings
) -> None:
    load(lambda obs: None)
    with opened(h5ad_settings().path) as file:
        read = pd.DataFrame({key: file.obs[key] for key in file.obs})
    pd.testing.assert_frame_equal(read, adata.obs.reset_index(drop=True), check_dtype=False)
