import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bie.data import restricted_pickle
from bie.errors import BadInput

WriteOldPickle = Callable[[Path, dict[str, Any]], None]


def test_arrays_and_row_names_of_old_tables(tmp_path: Path, write_old_pickle: WriteOldPickle) -> None:
    path = tmp_path / "old.pickle"
    clusters, names = np.array([2, 0, 1]), np.array(["B cells", "Other"], dtype=object)
    write_old_pickle(
        path, {"barcodes": ["A-1", "B-11"], "clusters": clusters, "names": names, "qc": np.eye(3)[:, :2]}
    )
    tables = restricted_pickle.read(path)
    assert tables["barcodes"].index.tolist() == ["A-1", "B-11"]
    assert tables["clusters"].tolist() == [2, 0, 1]
    assert tables["clusters"].dtype == np.int64
    assert tables["names"].tolist() == ["B cells", "Other"]
    assert tables["qc"].tolist() == np.eye(3)[:, :2].tolist()


def test_the_fixture_asks_for_what_the_real_file_asks_for(
    tmp_path: Path, write_old_pickle: WriteOldPickle
) -> None:
    path = tmp_path / "old.pickle"
    write_old_pickle(path, {"barcodes": ["A-1"], "clusters": np.array([1])})
    asked = {arg for code, arg, _ in pickletools.genops(path.read_bytes()) if code.name == "GLOBAL"}
    assert asked == {
        "numpy dtype",
        "numpy ndarray",
        "numpy.core.multiarray _reconstruct",
        "pandas.core.frame DataFrame",
        "pandas.core.indexes.base Index",
        "pandas.core.indexes.base _new_Index",
        "pandas.core.internals BlockManager",
    }


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.reduced = call, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_nothing_is_called(tmp_path: Path, protocol: int) -> None:
    made = tmp_path / "made"
    path = tmp_path / "evil.pickle"
    path.write_bytes(pickle.dumps({"barcodes": Evil(os.mkdir, str(made))}, protocol))
    with pytest.raises(BadInput, match=r"it asks for (posix|nt)\.mkdir, which no table needs\. Delete it"):
        restricted_pickle.read(path)
    assert not made.exists()


@pytest.mark.parametrize("call", [eval, getattr, np.load, np.fromfile, __import__])
def test_not_even_from_the_modules_that_tables_need(tmp_path: Path, call: Any) -> None:
    path = tmp_path / "evil.pickle"
    path.write_bytes(pickle.dumps({"x": Evil(call, "1")}))
    with pytest.raises(BadInput, match="which no table needs"):
        restricted_pickle.read(path)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is not the table"), (pickle.dumps([1]), "holds a list, no tables")]
)
def test_other_content(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.pickle"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        restricted_pickle.read(path)
