"""Numbers of the runs, from the columns of the index."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bie.analysis.parse import SPLITS
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

NOT_RECORDED = "not in the record"

Key = tuple[str, str]  # split, metric


@dataclass(frozen=True)
class Reasons:
    """Why numbers are missing.

    Attributes
    ----------
    codes
        Place in `texts` of the reason, -1 where there is none; shape (metrics of both splits, runs).
    """

    codes: "NDArray[np.int32]"
    texts: tuple[str, ...]

    def counts(self, column: int, rows: Any) -> dict[str, int]:
        """How often each reason occurs among some runs."""
        import numpy as np

        found = np.bincount(self.codes[column, rows] + 1, minlength=len(self.texts) + 1)[1:]
        return {text: int(n) for text, n in zip(self.texts, found, strict=True) if n}

    def frame(self, columns: "pd.Index[Any]") -> "pd.DataFrame":
        """The same as categoricals, a row per run."""
        import pandas as pd

        texts = pd.Index(self.texts, dtype=object)
        found = {place: pd.Categorical.from_codes(codes, texts) for place, codes in enumerate(self.codes)}
        return pd.DataFrame(found).set_axis(columns, axis=1)


def numbers(index: "pa.Table", runs: "pd.DataFrame") -> "tuple[pd.DataFrame, Reasons]":
    """Numbers of the runs, and why they are missing."""
    import numpy as np
    import pandas as pd

    columns = _columns(index.column_names)
    names = pd.MultiIndex.from_tuples(columns, names=["split", "metric"])
    row = np.flatnonzero((runs["state"] == "done").to_numpy())
    record = runs.index.to_numpy()[row]  # the rows of the index come first in its labels
    values = np.full((len(columns), len(runs)), np.nan)  # a metric after the other, as pandas holds them
    known: dict[str, int] = {}
    why: Any = np.full(values.shape, -1, np.int32)
    missing = index["missing"].to_pandas().cat
    told, which = [*missing.categories, "{}"], missing.codes.to_numpy()[record]  # code -1: nothing is
    for place, key in enumerate(columns):
        number, absent = column(index, ".".join(key), record)
        values[place, row] = number
        for reason, of in _reasons(key, number, absent, told, which):
            why[place, row[of]] = known.setdefault(reason, len(known))
    return pd.DataFrame(values.T, columns=names), Reasons(why, tuple(known))


def column(index: "pa.Table", name: str, rows: Any) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """Numbers (NaN where there is none), and which of them are not in the record at all."""
    import numpy as np

    if name not in index.column_names:
        return np.full(len(rows), np.nan), np.ones(len(rows), bool)
    numbers = index[name].to_numpy()
    absent = np.isnan(numbers)
    if absent.any():
        absent &= index[name].is_valid().to_numpy()
    return numbers[rows], absent[rows]


def texts(column: "pa.ChunkedArray") -> "NDArray[np.object_]":
    """Texts as Python's own, one object for those that are alike; None where there is none."""
    import numpy as np
    import pandas as pd

    found = column.to_pandas()
    if isinstance(found.dtype, pd.CategoricalDtype):
        known = np.array([*found.cat.categories, None], dtype=object)
        shared: NDArray[np.object_] = known[found.cat.codes]  # code -1: there is none
        return shared
    return np.asarray(found, dtype=object)


def by_type(index: "pa.Table", rows: "NDArray[np.int64]") -> "pd.DataFrame":
    """The ratios of the runs, one below the other.

    Parameters
    ----------
    rows
        Of the index, for each run; further ones for runs that have none.
    """
    import numpy as np
    import pandas as pd

    run = np.flatnonzero(rows < len(index))
    held = index.select(["types", "ratios"]).take(rows[run])
    types, ratios = held["types"].to_pandas().cat, held["ratios"].combine_chunks()
    names = [[tuple(name) for name in json.loads(text)] for text in types.categories]
    known = {name: place for place, name in enumerate(dict.fromkeys(name for of in names for name in of))}
    places = [np.array([known[name] for name in of], dtype=int) for of in names]
    place = np.concatenate([np.empty(0, int), *(places[code] for code in types.codes if code >= 0)])
    found: dict[str, Any] = {"row": np.repeat(run, ratios.value_lengths().to_numpy())}
    for level, name in enumerate(("split", "type")):
        codes, texts = pd.factorize(np.array([key[level] for key in known], dtype=object))
        found[name] = pd.Categorical.from_codes(codes[place], pd.Index(texts))
    return pd.DataFrame({**found, "ratio": ratios.flatten().to_numpy()})


def _reasons(
    key: Key, number: "NDArray[np.float64]", absent: "NDArray[np.bool_]", told: Sequence[str], which: Any
) -> "Iterator[tuple[str, NDArray[np.bool_]]]":
    """Why numbers are missing, and whose; a record names the metric alone where both splits lack it.

    Parameters
    ----------
    told, which
        The distinct values of ``missing``, as JSON, and which of them each record has.
    """
    import numpy as np

    if absent.any():
        yield NOT_RECORDED, absent
    nothing = np.isnan(number) & ~absent
    for place in np.unique(which[nothing]):
        missing = json.loads(told[place])
        reason = missing.get(".".join(key)) or missing.get(key[1], "no reason given")
        yield str(reason), nothing & (which == place)


def _columns(names: Iterable[str]) -> list[Key]:
    """Every metric of any record for each split: those with a card in its order, then the others."""
    parts = (name.partition(".") for name in names)
    metrics = {metric for split, _, metric in parts if split in SPLITS}
    known = [name for name in CARDS if name in metrics]
    return [(split, name) for split in SPLITS for name in [*known, *sorted(metrics - CARDS.keys())]]


def timing(index: "pa.Table", runs: "pd.DataFrame") -> "pd.DataFrame":
    """What the runs took; it has the labels of `runs`."""
    import pandas as pd

    names = [name for name in index.column_names if name.startswith("timing.")]
    times = {name.removeprefix("timing."): index[name].to_numpy() for name in names}
    return pd.DataFrame(times, index=range(len(index))).reindex(runs.index)
