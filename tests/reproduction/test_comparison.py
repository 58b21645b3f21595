import json
import math
from pathlib import Path

import pytest

from bie.reproduction.comparison import Number, compare, reasons
from bie.reproduction.words import MOST, as_json, as_lines, one_line


def _record(ari: float | None = 0.5, **made_by: object) -> dict[str, object]:
    metrics = {"train": {"ari": 0.25}, "test": {"ari": ari, "nmi": None}}
    provenance = {"source_sha256": "a" * 64, "packages": {"numpy": "2.0"}, **made_by}
    return {
        "metrics": metrics,
        "history_tail": {"loss": 3.5},
        "provenance": provenance,
        "probe_f1_by_batch": {},
    }


def test_the_same_record_is_equal_bit_for_bit():
    comparison = compare(_record(), _record())
    assert [number.name for number in comparison.numbers] == [
        *("train.ari", "test.ari", "test.nmi", "history_tail.loss")
    ]
    assert comparison.held
    assert list(as_lines(comparison)) == ["4 numbers: 4 equal bit for bit"]


def test_every_number_of_a_record_is_compared():
    """But those of time and place: none that a record holds is called the same without a look."""
    path = Path(__file__).parents[1] / "store" / "record-schema-1.json"
    record = json.loads(path.read_text())
    aside = ("config", "provenance", "timing", "seed", "schema")

    def numbers(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else ()
        return sum(map(numbers, inner)) if isinstance(value, dict) else isinstance(value, int | float)

    held = {name: value for name, value in record.items() if name not in aside}
    held["ot_ratio_by_type"] = {"train": {"b": 1.5}, "test": {"b": 1.5}}
    found = compare(held | {"provenance": {}}, held | {"provenance": {}}).numbers
    assert sum(number.recorded is not None for number in found) == numbers(held)


@pytest.mark.parametrize(("now", "told"), [(["a 1", "b 2"], 0), (["a 1"], 0), (["a 2", "b 2"], 1)])
def test_a_library_that_was_not_loaded_yet_is_no_reason(now: list[str], told: int):
    then = _record(numerics={"threadpools": ["a 1", "b 2", "b 2"]})
    found = _record(0.7, numerics={"threadpools": now})
    assert len(compare(then, found).reasons) == told


def test_what_is_no_number_is_different():
    odd = _record() | {
        "metrics": {"train": 3, "test": {"ari": "0.5", "nmi": [1]}},
        "history_tail": {"loss": True},
    }
    comparison = compare(odd, _record())
    names = ["test.ari", "test.nmi", "train.ari", "history_tail.loss"]
    assert sorted(number.name for number in comparison.having("different")) == sorted(names)
    assert len(list(as_lines(comparison))) > len(names)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (0.5, "equal"),
        (math.nextafter(0.5, 1), "close"),
        (0.5004, "close"),
        (0.502, "different"),
        (None, "different"),
    ],
)
def test_a_number_is_equal_close_or_different(found: float | None, verdict: str):
    assert Number("ari", 0.5, found).verdict(1e-3) == verdict
    assert compare(_record(), _record(found)).held == (verdict != "different")


def test_numbers_about_zero_are_not_compared_by_their_ratio():
    assert Number("be", 1e-9, -2e-9).verdict(1e-3) == "close"


def test_a_difference_is_shown_with_what_could_be_behind_it():
    found = _record(0.7, packages={"numpy": "2.1"}, kernels="torch")
    lines = list(as_lines(compare(_record(kernels="compiled by cc"), found)))
    assert lines == [
        "4 numbers: 3 equal bit for bit, 1 different",
        "  test.ari  0.5, now 0.7  different",
        "why it could be:",
        "  kernels and their compiler: compiled by cc, now torch",
        "  numpy: 2.0, now 2.1",
    ]


def test_a_difference_without_a_known_reason_says_so():
    assert "nothing that the records tell" in list(as_lines(compare(_record(), _record(0.7))))[-1]


def test_what_a_record_did_not_note_is_no_difference_nor_is_the_code_that_ran_again():
    now = {
        "source_sha256": "b",
        "numerics": {"instructions": "AVX512"},
        "device": {"type": "cpu", "name": "Xeon"},
        "packages": {},
    }
    assert list(reasons({"source_sha256": "a", "packages": {}, "device": {"type": "cuda"}}, now)) == [
        "device: cuda, now cpu"
    ]


def test_many_differences_are_cut_for_people_alone():
    many = {f"m{i}": float(i) for i in range(MOST + 5)}
    then, now = _record(), _record()
    then["metrics"], now["metrics"] = (
        {"test": many},
        {"test": {name: value + 1 for name, value in many.items()}},
    )
    comparison = compare(then, now)
    assert "  and 5 more" in list(as_lines(comparison))
    assert len(as_json(comparison)["numbers"]) == MOST + 6
    assert one_line(comparison) == f"{MOST + 6} numbers: 1 equal bit for bit, {MOST + 5} different"
