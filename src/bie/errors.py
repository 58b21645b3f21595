"""The two ways in which things go wrong: before anything started, and within one run."""

import errno
import os
import sys
from collections.abc import Callable

_ELSEWHERE = "Give a folder that can be written to, outputs=DIR, or copy the study to one"
_ROOM = "Make room, or give another folder: outputs=DIR"
_SYSTEM_SAYS = {
    errno.ENOENT: ("is not there and cannot be made", _ELSEWHERE),
    errno.ENOTDIR: ("leads through a file, where a folder should be", _ELSEWHERE),
    errno.EEXIST: ("is a file, where a folder should be", _ELSEWHERE),
    errno.EACCES: ("may not be read or written by you", _ELSEWHERE),
    errno.EPERM: ("may not be changed by you", _ELSEWHERE),
    errno.EROFS: ("can be read but not written to", _ELSEWHERE),
    errno.ENOSPC: ("cannot be written: the disk is full", _ROOM),
    errno.EDQUOT: ("cannot be written: your quota is used up", _ROOM),
    errno.EMFILE: ("cannot be opened: too many files are open", "Allow more: ulimit -n 4096"),
}
"""What is wrong with a path and what to do, by the system's number for it."""


class BadInput(Exception):  # noqa: N818 - reads as what it is at every raise
    """Something the user typed or handed over cannot be used.

    The message names the thing, its value and the remedy. Commands print it without a traceback and
    end with exit code 2, before any run has started.
    """


class RunFailed(Exception):  # noqa: N818
    """One run cannot go on; the others are not touched.

    Attributes
    ----------
    cause
        Short class of the failure, the word that ``failed.json`` and the tables use: ``nan``, ...
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    def __reduce__(self) -> tuple[type["RunFailed"], tuple[str, str], dict[str, object]]:
        """Keep the cause, and notes, when the exception crosses a process boundary."""
        return type(self), (self.cause, str(self)), vars(self)


def in_words(error: OSError) -> str:
    """Path, what is wrong with it, what to do.

    >>> in_words(OSError(errno.EROFS, "Read-only file system", "out")).split(".")[0]
    'out can be read but not written to'
    """
    subject = error.filename or "a file"
    if error.errno in _SYSTEM_SAYS:
        reason, remedy = _SYSTEM_SAYS[error.errno]
        return f"{subject} {reason}. {remedy}"
    return f"{subject}: {error.strerror or error}. See to it, then give the same command again"


def guarded(command: Callable[[], int]) -> int:
    """Run the body of a verb; bad input, or a path that cannot be used, becomes a message and exit code 2."""
    try:
        code = command()
        sys.stdout.flush()  # what nobody reads is noticed here, not when Python ends
        return code
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `bie aggregate | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    except OSError as error:  # outside a run: within one it is the run that fails (`bie.execution.recording`)
        print(in_words(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
