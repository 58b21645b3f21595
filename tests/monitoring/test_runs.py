"""Find the run that somebody means."""

import os
from typing import Any

import pytest

from bie.logs import main

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def outputs(disk: Any) -> str:
    return f"--outputs={disk.root.parents[1]}"


@pytest.mark.parametrize("end", ["", "/", "/failed.json"])
def test_a_run_by_its_folder(end: str, disk: Any, point: Any, outputs: str, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    folder = disk.failure(point, 2, "nan", "x").parent
    assert main([f"{folder}{end}", outputs]) == 0
    assert capsys.readouterr().out.startswith(f"run {point.run_id(2)[:12]}")
    assert main([f"{folder.parent.name}/seed=0002{end}", outputs]) == 0
    assert capsys.readouterr().out.startswith(f"run {point.run_id(2)[:12]}")


def test_who_is_meant_has_to_be_clear(disk: Any, point: Any, outputs: str, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    assert main(["", outputs]) == 2
    err = capsys.readouterr().err
    assert "means 3 runs" in err
    assert point.run_id(1)[:12] in err
    assert main(["xyz", outputs]) == 2
    assert "xyz: no run" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main([outputs])
    assert stopped.value.code == 2


def test_a_run_of_an_older_study_is_found(disk: Any, point: Any, outputs: str, capsys: Printed):
    other = type(point)(5000)
    type(disk)(disk.root.parent / "older").launch([(other, 0, 0)], {})
    disk.launch([(point, 0, 0)], {})
    assert main([other.run_id(0)[:12], outputs]) == 0
    assert "missing" in capsys.readouterr().out


def test_of_studies_of_the_same_moment_none_is_passed_over(
    disk: Any, point: Any, outputs: str, capsys: Printed
):
    points = {f"study_{i}": type(point)(scale) for i, scale in enumerate(range(5000, 5009))}
    for name, of_study in points.items():
        other = type(disk)(disk.root.parent / name)
        other.launch([(of_study, 0, 0)], {})
        os.utime(other.root / "launches", ns=(10**18, 10**18))
    for of_study in points.values():
        assert main([of_study.run_id(0)[:12], outputs]) == 0
    assert capsys.readouterr().err == ""
