"""Every form of Hydra's pages on its override grammar; ``scripts/newest_hydra`` runs the same under 1.4."""

import math

import pytest

from bie.errors import BadInput
from bie.planning.grammar import Axis, read_axes

GROUPS = {"model": ["scvi", "scvi_mine"], "schema": ["school", "support", "warehouse"]}


def values(text: str) -> list:
    (axis,) = read_axes([text], GROUPS)
    return [value for (value,) in axis.values]


BASIC = [
    ("key=value", ["value"]),
    ("+key=value", ["value"]),
    ("++key=value", ["value"]),
    ("key=", [""]),
    ("key=foo-bar_10", ["foo-bar_10"]),
    ("key=null", [None]),
    ("key=NULL", [None]),
    ("key=10", [10]),
    ("key=-20", [-20]),
    ("key=1_000_000", [1_000_000]),
    ("key=3.14", [3.14]),
    ("key=-20.0", [-20.0]),
    ("key=1e-1", [0.1]),
    ("key=-10e3", [-10e3]),
    ("key=inf", [math.inf]),
    ("key=-inf", [-math.inf]),
    ("key=true", [True]),
    ("key=TrUe", [True]),
    ("key=False", [False]),
    ("key=foo.bar", ["foo.bar"]),
    ("key=/base/${name}", ["/base/${name}"]),
    ("key=${oc.env:USER,me}", ["${oc.env:USER,me}"]),
    ('key="${get_dir: {root: /root, name: ${name}}}"', ["${get_dir: {root: /root, name: ${name}}}"]),
    ("key=a:b", ["a:b"]),
    ("key=hello world", ["hello world"]),
    ("key=    hello world    ", ["hello world"]),
    (r"key=job\{a\=1\,b\=2\,c\=3\}", ["job{a=1,b=2,c=3}"]),
    (r"key=A\[B", ["A[B"]),
    ('key="A[B"', ["A[B"]),
    ('key="hello there"', ["hello there"]),
    (r'key="escaped \"double quote\""', ['escaped "double quote"']),
    (r'key="the path is C:\\\"some folder\"\\"', ['the path is C:\\"some folder"\\']),
    ('key="1,2,3"', ["1,2,3"]),
    ('key="{a:10} ${xyz}"', ["{a:10} ${xyz}"]),
    ("key=\"'single quoted string'\"", ["'single quoted string'"]),
    (r"key='escaped \'single quote\''", ["escaped 'single quote'"]),
    ("key='1,2,3'", ["1,2,3"]),
    ('key="{a: 10}"', ["{a: 10}"]),
    ("key={a: 10}", [{"a": 10}]),
    ("key=[]", [[]]),
    ("key=[1,2,3]", [[1, 2, 3]]),
    ("key=[a,[b,[c]]]", [["a", ["b", ["c"]]]]),
    ("key={}", [{}]),
    ("key={a:10,b:{c:30,d:40}}", [{"a": 10, "b": {"c": 30, "d": 40}}]),
    ("key=a,b", ["a", "b"]),
    ('key="a,b","c,d"', ["a,b", "c,d"]),
    ("key=[a,b],[c,d]", [["a", "b"], ["c", "d"]]),
    ("key={a:10, b:20},{c:30,d:40}", [{"a": 10, "b": 20}, {"c": 30, "d": 40}]),
]
SWEEPS = [
    ("key=choice(mysql,postgresql)", ["mysql", "postgresql"]),
    ("schema=glob(*)", ["school", "support", "warehouse"]),
    ("schema=glob(*,exclude=support)", ["school", "warehouse"]),
    ("schema=glob([s*,w*],exclude=school)", ["support", "warehouse"]),
    ("model=glob(*,exclude=*mine)", ["scvi"]),
    ("num=range(3),7", [0, 1, 2, 7]),
    ("num=5,range(0,4,2),choice(8,9)", [5, 0, 2, 8, 9]),
    ("num=float(range(3)),7", [0.0, 1.0, 2.0, 7]),
    ("num=tag(log,choice(1,2))", [1, 2]),
    ("num=tag(foo,bar,range(2))", [0, 1]),
    ("num=sort(1,3,2)", [1, 2, 3]),
    ("num=sort(1,3,2,reverse=true)", [3, 2, 1]),
    ("num=sort(choice(1,3,2))", [1, 2, 3]),
    ("num=sort(sweep=choice(1,3,2))", [1, 2, 3]),
    ("num=sort(choice(1,3,2),reverse=true)", [3, 2, 1]),
    ("num=sort([1,3,2])", [[1, 2, 3]]),
    ("num=sort(list=[1,3,2])", [[1, 2, 3]]),
    ("num=sort(list=[1,3,2], reverse=true)", [[3, 2, 1]]),
    ("num=sort(1)", [1]),
]
CASTS = [
    ("int(3.14)", [3]),
    ("int(value=3.14)", [3]),
    ("float(10)", [10.0]),
    ("str(10)", ["10"]),
    ("bool(1)", [True]),
    ("float(range(1,4))", [1.0, 2.0, 3.0]),
    ("int(range(1.0,4.0))", [1, 2, 3]),
    ("str([1,2,3])", [["1", "2", "3"]]),
    ("str({a:10})", [{"a": "10"}]),
    ("int(true)", [1]),
    ("float(false)", [0.0]),
    ("str(true)", ["true"]),
    ("str(1e6)", ["1000000.0"]),
    ("float(inf)", [math.inf]),
    ("bool(0.0)", [False]),
    ("bool('true')", [True]),
    ("int('10')", [10]),
    ("float('10.0')", [10.0]),
    ("str('')", [""]),
    ("int([])", [[]]),
    ("bool([0,1,2])", [[False, True, True]]),
    ("float([1,[2]])", [[1.0, [2.0]]]),
    ("float({a:[0,1,2]})", [{"a": [0.0, 1.0, 2.0]}]),
    ("str([a,1])", [["a", "1"]]),
    ("int(choice(0,1))", [0, 1]),
    ("float(choice(0,1))", [0.0, 1.0]),
    ("str(choice(1,a))", ["1", "a"]),
    ("bool(choice(0,1))", [False, True]),
    ("float(0,1)", [0.0, 1.0]),
]


@pytest.mark.parametrize(("text", "expected"), [*BASIC, *SWEEPS, *((f"key={c}", v) for c, v in CASTS)])
def test_values_are_those_of_hydras_documentation(text: str, expected: list):
    found = values(text)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    "cast",
    [
        *("int(inf)", "int(nan)", "int(foo)", "float(foo)", "bool(foo)", "bool('10')", "int('10.0')"),
        *("float('true')", "int([a,1])", "float({a:10,b:xyz})", "int(choice(a,b))", "bool(choice(1,a))"),
        *("str(range(1,10))", "bool(range(1,10))", "str(interval(1,2))", "int(range(0,1,0.5))"),
    ],
)
def test_casts_that_hydra_refuses_are_bad_input(cast: str):
    with pytest.raises(BadInput):
        values(f"key={cast}")


@pytest.mark.parametrize(
    "shuffled", ["shuffle(a,b,c)", "shuffle(choice(a,b,c))", "shuffle(sweep=choice(a,b,c))"]
)
def test_a_shuffle_is_the_same_whenever_it_is_typed(shuffled: str):
    assert sorted(values(f"key={shuffled}")) == ["a", "b", "c"]
    assert values(f"key={shuffled}") == values(f"key={shuffled}")


def test_ranges_and_lists_can_be_shuffled():
    many = values("key=shuffle(range(50))")
    assert sorted(many) == list(range(50))
    assert many != sorted(many)
    assert sorted(values("key=shuffle([a,b,c])")[0]) == ["a", "b", "c"]
    assert sorted(values("key=shuffle(list=[a,b,c])")[0]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=0..3", [0, 1, 2, 3]),
        ("seed=7..7", [7]),
        ("seed=0..1,5,8..9", [0, 1, 5, 8, 9]),
        ("split_seed=0..1", [0, 1]),
        ("train.name=0..3", ["0..3"]),
    ],
)
def test_seeds_from_to_need_no_quotes_in_a_shell(text: str, expected: list):
    assert values(text) == expected


def test_slurm_is_told_what_was_typed():
    assert values("site.account=12e3") == ["12e3"]
    assert values("hydra.launcher.account=2024_117") == ["2024_117"]
    more = values("hydra.launcher.additional_parameters={reservation:12e3,nice:100}")
    assert more == [{"reservation": "12e3", "nice": 100}]
    assert values("site.mem_gb=0.5") == [0.5]


def test_zip_couples_keys():
    (axis,) = read_axes(["zip(mine.scale=[1,2],train.lr=[1e-3,1e-4])"], GROUPS)
    assert axis == Axis(("mine.scale", "train.lr"), ((1, 1e-3), (2, 1e-4)))


def test_the_last_of_a_key_counts_also_against_a_zip():
    axes = read_axes(["seed=1", "zip(a=[1,2],b=[3,4])", "seed=2", "a=9"], GROUPS)
    assert axes == [Axis(("b",), ((3,), (4,))), Axis(("seed",), ((2,),)), Axis(("a",), ((9,),))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed=range(3", "KEY=a,b,c$"),
        ("dataset.path=~/a.h5ad", r"KEY=a,b,c; as one text: 'dataset.path='\"'\"'~/a.h5ad'\"'\"''$"),
        ("dataset.path=a (1).h5ad", "as one text: "),
        ("scvi", "KEY=VALUE"),
        ("dir=A[B", "KEY=VALUE"),
        ("key=func(a=10,foo)", "KEY=VALUE"),
        ("seed=range(0)", "no values"),
        ("seed=sort(range(10,1))", "no values"),
        ("seed=9..0", "counts up"),
        ("~model.dropout", "model.dropout=VALUE"),
        ("~model.dropout=1", "model.dropout=VALUE"),
        ("train.lr=interval(0,1)", "range"),
        ("train.lr=tag(log,interval(0,1))", "range"),
        ("train.lr=1,interval(0,1)", "range"),
        ("model=scvi,glob(*)", "only values, range"),
        ("model=glob(x*)", "scvi, scvi_mine"),
        ("seed=glob(x*)", "only values, range"),
        ("zip(a=[1,2],b=[1])", "a 2, b 1"),
        ("zip(a=1)", "zip"),
        ("zip()", "list for each key"),
    ],
)
def test_errors_name_the_remedy(text: str, says: str):
    with pytest.raises(BadInput, match=says):
        read_axes([text], GROUPS)
