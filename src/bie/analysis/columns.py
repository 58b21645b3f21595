"""Rows of records as columns of Arrow, which none of the rows outlives."""

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bie.analysis.parse import NUMBERS, Row

if TYPE_CHECKING:
    import pyarrow as pa

SHARED = (
    "state",
    "config_id",
    "dataset",
    "model",
    "code",
    "packages",
    "split_id",
    "missing",
    "notes",
    "types",
    "config",
    "device",
    "cause",
)
TEXTS = ("path", "run_id", "message", "notes_numbers")
STAMP = ("inode", "size", "modified", "changed")
_NAN = math.nan


def columns(rows: Iterable[Row]) -> "pa.Table":
    """Rows as columns; none of them is held when the next one comes."""
    import pyarrow as pa

    texts: dict[str, list[str | None]] = {name: [] for name in (*TEXTS, *SHARED)}
    seeds, stamps, ratios, ends = array("q"), array("q"), array("d"), array("i", [0])
    numbers = {part: Numbers(part) for part in NUMBERS}
    for place, row in enumerate(rows):
        for name, column in texts.items():
            column.append(row.get(name))
        seeds.append(row["seed"])
        stamps.extend(row["stamp"])
        ratios.extend(row.get("ratios", ()))
        ends.append(len(ratios))
        for part, found in numbers.items():
            found.add(place, row.get(part) or {})
    shared = pa.dictionary(pa.int32(), pa.string())
    columns = {
        name: pa.array(found, pa.string() if name in TEXTS else shared) for name, found in texts.items()
    }
    columns["seed"] = pa.array(seeds, pa.int64())
    columns |= {name: pa.array(stamps[i :: len(STAMP)], pa.int64()) for i, name in enumerate(STAMP)}
    columns["ratios"] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(ratios, pa.float64()))
    for found in numbers.values():
        columns |= found.columns(len(seeds))
    return pa.table(columns)


class Numbers:
    """Numbers of one part of many rows. Rows with the same names, nearly all of them, are held together."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._alike: dict[tuple[str, ...], tuple[array[int], array[float]]] = {}

    def add(self, place: int, numbers: Mapping[str, float | None]) -> None:
        """Numbers of a row; None: there is none."""
        names = tuple(numbers)
        if names not in self._alike:
            self._alike[names] = array("q"), array("d")
        rows, values = self._alike[names]
        rows.append(place)
        values.extend([_NAN if value is None else value for value in numbers.values()])

    def columns(self, n: int) -> "dict[str, pa.Array]":
        """A column of each number: null where it is None, NaN where a row has no such number."""
        import numpy as np
        import pyarrow as pa

        places = {
            name: i for i, name in enumerate(dict.fromkeys(name for names in self._alike for name in names))
        }
        values, null = np.full((len(places), n), np.nan), np.zeros((len(places), n), bool)
        for names, (rows, found) in self._alike.items():
            given = np.frombuffer(found).reshape(len(rows), len(names)).T
            at = np.ix_([places[name] for name in names], rows)
            values[at], null[at] = given, np.isnan(given)  # JSON has no NaN: it was None
        return {f"{self._part}.{name}": pa.array(values[i], mask=null[i]) for name, i in places.items()}
