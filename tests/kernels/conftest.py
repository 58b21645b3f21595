from pathlib import Path

import pytest

from bie.kernels import is_active

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What follows a kernel needs it."""
    needs = pytest.mark.skipif(not is_active(), reason="no compiled kernels")
    for item in items:
        if item.path.parent == HERE and item.path.name != "test_native.py":
            item.add_marker(needs)
