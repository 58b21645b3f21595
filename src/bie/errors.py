"""The two ways in which things go wrong: before anything started, and within one run."""

import sys
from collections.abc import Callable


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

    def __reduce__(self) -> tuple[type["RunFailed"], tuple[str, str]]:
        """Keep the cause when the exception crosses a process boundary."""
        return type(self), (self.cause, str(self))


def guarded(command: Callable[[], int]) -> int:
    """Run the body of a verb; bad input becomes its message and exit code 2."""
    try:
        return command()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `bie aggregate | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
