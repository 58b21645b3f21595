"""What the server of the workers imports first."""

import gc
import importlib

from bie.execution import processes


def test_libraries_are_loaded_without_the_cyclic_collector():
    assert processes._TRAINING[0] == "bie.execution.preload"
    try:
        importlib.reload(importlib.import_module("bie.execution.preload"))
        assert not gc.isenabled()
    finally:
        gc.enable()
