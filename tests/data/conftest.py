"""Settings as shipped, a small AnnData of which each test spoils one thing, and pickles as of 2018."""

import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from omegaconf import OmegaConf

from bie.data.datasets.h5ad import H5ad
from bie.data.datasets.zinb import Zinb

CONF = Path(__file__).parents[2] / "conf" / "dataset"


@pytest.fixture
def zinb_settings() -> Callable[..., Zinb]:
    """Settings of the simulation as in ``conf/``, with changes."""
    shipped: Any = OmegaConf.to_container(OmegaConf.load(CONF / "zinb.yaml"))
    return lambda **changes: Zinb.model_validate(shipped | changes)


@pytest.fixture
def adata() -> anndata.AnnData:
    """60 cells x 30 genes of counts (CSR, float32), 3 batches, 2 cell types; nothing wrong with it."""
    rng = np.random.default_rng(0)
    x_ng = rng.poisson(1.5, (60, 30)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "batch": pd.Categorical(np.array(["late", "early", "mid"])[np.arange(60) % 3]),
            "cell_type": pd.Categorical(np.array(["T", "B"])[np.arange(60) % 2]),
            "day": np.arange(60) % 4,
            "score": rng.random(60),
        },
        index=pd.Index([f"c{n}" for n in range(60)]),
    )
    var = pd.DataFrame(index=pd.Index([f"g{g}" for g in range(30)]))
    return anndata.AnnData(X=sp.csr_matrix(x_ng), obs=obs, var=var)


@pytest.fixture
def h5ad_settings(tmp_path: Path) -> Callable[..., H5ad]:
    """Settings for the file ``tmp_path/data.h5ad``, with changes."""

    def settings(**changes: Any) -> H5ad:
        plain = {"source": "h5ad", "name": "h5ad", "path": tmp_path / "data.h5ad", "layer": None}
        return H5ad.model_validate(plain | {"batch_key": "batch", "label_key": "cell_type"} | changes)

    return settings


class _Block:
    """In the pickle: a `BlockManager`, whose state is the tuple of its axes and its values."""

    def __init__(self, axes: list[Any]) -> None:
        self.axes = axes

    def __reduce__(self) -> tuple[Any, ...]:
        return _Block, (), (self.axes, [np.zeros((1, 2))], [self.axes[0]], {"0.14.1": {"axes": self.axes}})


class _Table:
    """In the pickle: a `DataFrame` with these row names and one column."""

    def __init__(self, index: list[str]) -> None:
        self.index = index

    def __reduce__(self) -> tuple[Any, ...]:
        axes = [_Names(["Unnamed: 0"]), _Names(self.index)]
        return _Table, (), {"_data": _Block(axes), "_typ": "dataframe", "_metadata": []}


class _Names:
    """In the pickle: an `Index`."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __reduce__(self) -> tuple[Any, ...]:
        return _new_index, (_Names, {"data": np.array(self.names, dtype=object), "name": None})


def _new_index() -> None:
    """In the pickle: `pandas.core.indexes.base._new_Index`."""


_PlainPickler: Any = pickle._Pickler  # the one in Python, whose methods can be replaced


class _OldPickler(_PlainPickler):  # type: ignore[misc]
    """Writes the names that NumPy and pandas had when ``pbmc_metadata.pickle`` was made."""

    OLD = {  # noqa: RUF012
        _Block: "pandas.core.internals\nBlockManager",
        _Table: "pandas.core.frame\nDataFrame",
        _Names: "pandas.core.indexes.base\nIndex",
        _new_index: "pandas.core.indexes.base\n_new_Index",
        np.zeros(0).__reduce__()[0]: "numpy.core.multiarray\n_reconstruct",
    }

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj in self.OLD:
            self.write(f"c{self.OLD[obj]}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch = _PlainPickler.dispatch | {FunctionType: save_global}


@pytest.fixture
def write_old_pickle() -> Callable[[Path, dict[str, Any]], None]:
    """Write a dictionary in the old format; lists of str become data frames with these row names."""

    def write(path: Path, tables: dict[str, Any]) -> None:
        frames = {key: _Table(value) if isinstance(value, list) else value for key, value in tables.items()}
        with path.open("wb") as file:
            _OldPickler(file, protocol=3).dump(frames)

    return write


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look-up of an address fail, as on a compute node."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
