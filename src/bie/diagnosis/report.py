"""All checks of ``bie doctor``, in the order in which one would repair what they find."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bie.diagnosis import cluster, filesystem, installation, speed
from bie.diagnosis.check import LOADING_LIMIT_S, TIME_LIMIT_S, Check, Row, carried_out

_LOADING = ("torch", "kernels", "BLAS threads")
_MARKS = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}


def checks(outputs: Path) -> dict[str, Check]:
    """Every check by the name of its row."""
    return {
        "Python": installation.python,
        "lock file": installation.lock,
        "torch": installation.torch,
        "GPU": installation.gpu,
        "kernels": speed.training,
        "BLAS threads": speed.threads,
        "Slurm": cluster.cluster,
        "disk": partial(filesystem.room, outputs),
        "filesystem": partial(filesystem.abilities, outputs),
    }


def diagnose(outputs: Path) -> Iterator[Row]:
    """Rows, each as soon as it is known."""
    for name, check in checks(outputs).items():
        yield carried_out(name, check, LOADING_LIMIT_S if name in _LOADING else TIME_LIMIT_S)


def as_text(row: Row) -> str:
    """A row for people, its remedy on a line of its own."""
    line = f"{_MARKS[row.state]:<8} {row.name:<13} {row.found}"
    return f"{line}\n{'':<22} -> {row.remedy}" if row.remedy else line


def as_json(rows: Iterable[Row]) -> Mapping[str, Any]:
    """The rows as plain values, and whether a run has what it needs."""
    listed = [row._asdict() for row in rows]
    return {"ok": all(row["state"] != "problem" for row in listed), "rows": listed}
