"""What bie does around a launch if it is asked to, as Hydra's callbacks: groups ``hydra/callbacks``.

Any application of the environment loads this module, so that what it needs is loaded when it is called.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Report(Callback):
    """``hydra/callbacks=report``: table and page of the study, once its launch has ended.

    They are made whatever became of the runs, and do not change the exit code, which is that of the launch.
    A launch whose tasks outlive the command has not ended: then a line says what to type later.
    """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Do what ``bie aggregate`` and ``bie report`` do, for a sweep and for a single run alike."""
        from bie import aggregate, report
        from bie.errors import guarded

        tree = Path(config.hydra.sweep.dir)
        launches = sorted((tree / "launches").glob("*"))
        if sys.exc_info()[0] or not launches:  # nothing was launched; Hydra 1.4 calls it all the same
            return
        if guarded(lambda: _goes_on(launches[-1])):
            return
        for verb in (aggregate, report):
            verb.main([str(tree)])


def _goes_on(launch: Path) -> int:
    """Whether tasks of a launch wait or run; what to do when they have ended is said."""
    from bie.monitoring.study_status import GOING, read_status
    from bie.store.paths import Tree

    status = read_status(Tree(launch.parents[1]))
    of_jobs = [run for run in status.runs if run.launch.id == launch.name and run.launch.jobs]
    if not any(run.state in GOING or (status.slurm_error and run.state == "missing") for run in of_jobs):
        return 0
    tree = shlex.quote(str(launch.parents[1]))
    print(f"table and page, when all has ended: bie aggregate {tree} && bie report {tree}")
    return 1
