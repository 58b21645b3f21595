"""``bie status --watch``, to the end of a study."""

from typing import Any

import pytest

from bie.status import main

Printed = pytest.CaptureFixture[str]


def test_watching_prints_a_line_per_change_until_nothing_is_under_way(
    disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch
):
    disk.launch([(point, 0, 0), (point, 1, 0)], {})
    disk.run(point, 0, "record.json")
    claim = disk.run(point, 1, "claim.json", {"host": "elsewhere", "pid": 1})
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            disk.run(point, 1, "record.json")
            claim.unlink()

    monkeypatch.setattr("time.sleep", nap)
    assert main([str(disk.root), "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1/2 done   running 1", "2/2 done"]
    assert lines[3].split()[-1] == "2/2"


def test_a_terminal_is_redrawn(disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch):
    disk.launch([(point, 0, 0)], {})
    disk.run(point, 0, "record.json")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main([str(disk.root), "--watch"]) == 0
    assert "1/1" in capsys.readouterr().out
