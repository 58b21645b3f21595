"""Work on several cores, with results in the order of the work."""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from bie import devices
from bie.errors import BadInput

MOST = 8  # processes; of more, what is given to them is through before the next is ready

Item = TypeVar("Item")
Result = TypeVar("Result")

_work: Callable[[int], Any]  # of a process that was forked for it


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], n_processes: int | None = None
) -> Iterator[Result]:
    """Results of `work` on each item; it has begun, and who called may do something else meanwhile.

    Parameters
    ----------
    work, items
        Other processes are forked with them; only results and errors are pickled.
    n_processes
        As many as there are cores by default. With 1, for one item, and where forks are not safe, which is
        everywhere but on Linux, all is done here, item by item as the results are asked for.

    Raises
    ------
    BadInput
        The system has killed a process.
    """
    todo = list(items)
    most = min(devices.cores(), MOST, len(todo)) if n_processes is None else n_processes
    if most <= 1 or sys.platform != "linux":
        return map(work, todo)
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(most, context, _begin, (lambda place: work(todo[place]),))
    found = pool.map(_do, range(len(todo)))
    pool.shutdown(wait=False)  # it ends with the last result
    return _received(found)


def _received(results: Iterator[Result]) -> Iterator[Result]:
    try:
        yield from results
    except BrokenProcessPool:
        raise BadInput(
            "a process of this command was killed, as a rule for want of memory: give it more"
        ) from None


def _do(place: int) -> Any:
    return _work(place)


def _begin(work: Callable[[int], Any]) -> None:
    """Leave Ctrl-C to the parent, whose objects, perhaps a million, are never looked through for garbage."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
