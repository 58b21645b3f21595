"""Runs `stand_in_device.py`: a device has to be known before torch first differentiates, so anew."""

import subprocess
import sys
from pathlib import Path


def test_a_pack_stays_on_its_device_and_never_waits() -> None:
    checks = Path(__file__).with_name("stand_in_device.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout, done.stdout  # where all is skipped pytest is content
