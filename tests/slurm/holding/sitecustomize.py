"""Loaded by Python in the tasks of a `Sweep`: while the file ``$HOLD`` is there, their runs wait in training.

Each waits after the epoch that it is at, until it is asked to stop or may go on. Without it a test that does
something to a run has a second for it, which a busy machine may take by itself.
"""

import os
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PATCHED = "bie.execution.checkpoints"


class Finder(PathFinder):
    """Finds the one module as any import does, and has it loaded by `Loader`."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None) -> ModuleSpec | None:  # type: ignore[no-untyped-def]
        """Spec of the module; None of all others."""
        found = super().find_spec(fullname, path, target) if fullname == PATCHED else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, found.origin, loader=Loader(fullname, found.origin))


class Loader(SourceFileLoader):
    """Loads the module, and puts the wait before what it does after each epoch."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then patch its class."""
        super().exec_module(module)
        go_on = module.Checkpoints.epoch_ended

        def epoch_ended(self, snapshot) -> None:  # type: ignore[no-untyped-def]
            while Path(os.environ["HOLD"]).exists() and not self._stop():
                time.sleep(0.05)
            go_on(self, snapshot)

        module.Checkpoints.epoch_ended = epoch_ended


if __name__ == "sitecustomize":  # not where tests are looked for
    sys.meta_path.insert(0, Finder)
