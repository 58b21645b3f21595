"""Work on several cores, with results in the order of the work."""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import TypeVar

from bie import devices

MOST = 8  # processes; of more, what is given to them is through before the next is ready

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], n_processes: int | None = None
) -> Iterator[Result]:
    """Results of `work` on each item; it has begun, and who called may do something else meanwhile.

    Parameters
    ----------
    work, items
        Other processes get them, so both can be pickled.
    n_processes
        As many as there are cores by default. With 1, and where forks are not safe, which is everywhere but
        on Linux, all is done here, item by item as the results are asked for.
    """
    most = min(devices.cores(), MOST) if n_processes is None else n_processes
    if most == 1 or sys.platform != "linux":
        return map(work, items)
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(most, context, _begin)
    found = pool.map(work, items)
    pool.shutdown(wait=False)  # it ends with the last result
    return found


def beside(work: Callable[[], Result]) -> Callable[[], Result]:
    """Begin `work` in a process of its own, a fork, which sees all that is here; what it gives is small.

    Returns
    -------
    callable
        Waits for the result, or raises what `work` raised. With one core, and where forks are not safe, it
        does the work.
    """
    if min(devices.cores(), MOST) == 1 or sys.platform != "linux":
        return work
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(work, there))
    process.start()
    there.close()  # so that the end of that process is the end of what can be received

    def result() -> Result:
        try:
            found, error = here.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"a process of this report ended with exit code {process.exitcode}") from None
        process.join()
        if error is not None:
            raise error
        return found  # type: ignore[no-any-return]

    return result


def _send_result(work: Callable[[], object], to: Connection) -> None:
    _begin()
    try:
        to.send((work(), None))
    except Exception as error:
        to.send((None, error))


def _begin() -> None:
    """Leave Ctrl-C to the parent, whose objects, perhaps a million, are never looked through for garbage."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
