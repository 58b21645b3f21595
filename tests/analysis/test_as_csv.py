from pathlib import Path

import numpy as np
import pandas as pd

from bie.analysis.as_csv import write_csv

FRAME = pd.DataFrame(
    {
        "text": ["a", "b,c", 'd "e"', None, "f"],
        "number": [0.1, 1e-5, np.nan, -1e16, 1 / 3],
        "extreme": [np.inf, 5e-324, 1e-4, 9.999999999999999e15, -0.0],
        "setting": pd.array([1.0, 1e-5, None, 2e20, 3.5], dtype="Float64"),
        "count": pd.array([1, None, 3, 4, 5], dtype="Int64"),
        "complete": [True, False, True, True, False],
        "kind": pd.Categorical(["x", "y", None, "x", "y"]),
    }
)


def test_the_bytes_are_those_of_pandas(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(FRAME, path)
    assert path.read_text() == FRAME.to_csv(index=False, lineterminator="\n")
    write_csv(FRAME, path, more=True)
    write_csv(FRAME[:0], path, more=True)
    assert path.read_text() == FRAME.to_csv(index=False) + FRAME.to_csv(index=False, header=False)


def test_a_table_without_rows_has_a_head(tmp_path: Path) -> None:
    write_csv(FRAME[:0], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == FRAME[:0].to_csv(index=False)
