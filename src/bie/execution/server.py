"""The server that the workers are forked from: it loads the libraries once for all of them.

This module itself loads nothing, so that the server can start while the command is still being read.
"""

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from typing import Literal

from bie.execution.signals import TO_THE_GROUP, ignored

_TRAINING = ["bie.execution.preload", "bie.execution.worker", "bie.methods.trained"]
_SCORING = ["sklearn.cluster", "sklearn.metrics", "sklearn.neighbors", "sklearn.neural_network"]
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def single_threaded() -> None:
    """Give every numeric library one thread; to be called before any of them is loaded."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))


def warm_up(n_runs: Literal["one", "many"] = "many") -> ForkServerContext:
    """Start loading the libraries of the workers, in the background.

    Parameters
    ----------
    n_runs
        The worker of a single run loads what scores it when it gets there, so that the training begins
        earlier; the workers of many runs share what was loaded before them.
    """
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_TRAINING + (_SCORING if n_runs == "many" else []))
    with ignored(*TO_THE_GROUP):  # which the server inherits, and the workers from it
        forkserver.ensure_running()
    return context
