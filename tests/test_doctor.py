import json
from pathlib import Path

import pytest

from bie.diagnosis import report, speed
from bie.diagnosis.check import Row
from bie.doctor import main


def test_rows_for_people_and_as_json(in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(speed, "SAMPLE_S", 0.01)
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    names = [row["name"] for row in found["rows"]]
    assert names == list(report.checks(in_tmp))
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[9:].split("  ")[0] for line in lines if "->" not in line] == names
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_the_exit_code_is_for_prologues(
    state: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    row = Row("disk", state, "found", "remedy")  # type: ignore[arg-type]
    monkeypatch.setattr(report, "checks", lambda outputs: {"disk": lambda: row})
    assert main([]) == code
    assert "-> remedy" in capsys.readouterr().out
