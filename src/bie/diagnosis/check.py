"""One thing looked at, what was found, and what to do about it."""

import threading
from collections.abc import Callable
from typing import Literal, NamedTuple

TIME_LIMIT_S = 30.0
"""Seconds for one check: a file server or a controller that is gone may never answer."""
LOADING_LIMIT_S = 300.0
"""Seconds for one that loads torch, from a disk that others use too, or compiles."""

State = Literal["ok", "warning", "problem"]


class Row(NamedTuple):
    """What a check found.

    Attributes
    ----------
    name
        Of what was looked at.
    state
        ``problem``: a run needs it, and it is broken; ``warning``: runs work, but slower or otherwise.
    found
        In words, with units.
    remedy
        What to do; empty where all is well.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


Check = Callable[[], Row]


def carried_out(name: str, check: Check, limit_s: float = TIME_LIMIT_S) -> Row:
    """Row of a check; a row of its own kind where it fails, or has not ended in time.

    Parameters
    ----------
    name
        Of the row where there is none else.
    limit_s
        Seconds; the thread of a check that is stuck is left behind.
    """
    rows: list[Row] = []

    def work() -> None:
        try:
            rows.append(check())
        except Exception as error:  # a check that stumbles must not keep the others from being made
            said = " ".join(f"{type(error).__name__}: {error}".split())
            rows.append(Row(name, "problem", f"could not be looked at: {said}", "See to what it says"))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    stuck = Row(name, "problem", f"no answer in {limit_s:.0f} s", "See whether a disk or a server is gone")
    return rows[0] if rows else stuck
