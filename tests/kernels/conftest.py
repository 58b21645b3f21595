from pathlib import Path

import pytest

from bie.kernels import is_active

HERE = Path(__file__).parent
NEED_NONE = {"test_native.py", "test_fused.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What follows a compiled kernel needs it."""
    needs = pytest.mark.skipif(not is_active(), reason="no compiled kernels")
    for item in items:
        if item.path.parent == HERE and item.path.name not in NEED_NONE:
            item.add_marker(needs)
