import pytest

from bie.errors import BadInput
from bie.planning.grammar import Axis, read_axes

GROUPS = {"model": ["scvi", "scvi_mine"]}


def values(text: str) -> list:
    (axis,) = read_axes([text], GROUPS)
    return [value for (value,) in axis.values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=range(3)", [0, 1, 2]),
        ("seed=range(10,4,-2)", [10, 8, 6]),
        ("seed=7", [7]),
        ("seed=range(3),7", [0, 1, 2, 7]),
        ("seed=5,range(0,4,2),choice(8,9)", [5, 0, 2, 8, 9]),
        ("model=scvi,scvi_mine", ["scvi", "scvi_mine"]),
        ("model=choice(scvi,scvi_mine)", ["scvi", "scvi_mine"]),
        ("model=glob(*)", ["scvi", "scvi_mine"]),
        ("model=glob(*,exclude=*mine)", ["scvi"]),
        ("mine.scale=1e3,1000,10.5", [1000.0, 1000, 10.5]),
        ("dataset.path='a,b.h5ad'", ["a,b.h5ad"]),
        ("dataset.path=my data/x.h5ad", ["my data/x.h5ad"]),
        ("dataset.layer=null", [None]),
        ("seed=sort(3,1,2)", [1, 2, 3]),
        ("+seed=1", [1]),
        ("++seed=1", [1]),
    ],
)
def test_values_as_hydra_reads_them(text: str, expected: list):
    assert values(text) == expected


def test_zip_couples_keys():
    (axis,) = read_axes(["zip(mine.scale=[1,2],train.lr=[1e-3,1e-4])"], GROUPS)
    assert axis == Axis(("mine.scale", "train.lr"), ((1, 1e-3), (2, 1e-4)))


def test_the_last_of_a_key_counts_also_against_a_zip():
    axes = read_axes(["seed=1", "zip(a=[1,2],b=[3,4])", "seed=2", "a=9"], GROUPS)
    assert axes == [Axis(("b",), ((3,), (4,))), Axis(("seed",), ((2,),)), Axis(("a",), ((9,),))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed=range(3", "KEY=VALUE"),
        ("scvi", "KEY=VALUE"),
        ("seed=range(0)", "no values"),
        ("~model.dropout", "model.dropout=VALUE"),
        ("train.lr=interval(0,1)", "range"),
        ("train.lr=1,interval(0,1)", "only values, range"),
        ("model=scvi,glob(*)", "only values, range"),
        ("model=glob(x*)", "scvi, scvi_mine"),
        ("zip(a=[1,2],b=[1])", "a 2, b 1"),
        ("zip(a=1)", "zip"),
        ("zip()", "list for each key"),
    ],
)
def test_errors_name_the_remedy(text: str, says: str):
    with pytest.raises(BadInput, match=says):
        read_axes([text], GROUPS)
