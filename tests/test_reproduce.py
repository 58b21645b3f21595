import hashlib
import json
import shutil
from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.reproduce import main
from bie.reproduction.origin import origin_of
from bie.run import main as run
from bie.store.environment import Difference
from bie.store.launches import POINTS, SOURCE
from bie.store.record import RECORD


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with one finished run."""
    from tests.conftest import TINY

    folder = tmp_path_factory.mktemp("reproduce")
    assert run([*TINY, "hydra.launcher.workers=0", f"outputs={folder / 'outputs'}"]) == 0
    return folder


@pytest.fixture
def copy(study: Path, in_tmp: Path) -> Path:
    """The run's folder in a copy of the study, in the working folder."""
    shutil.copytree(study / "outputs", in_tmp / "outputs")
    (record,) = in_tmp.glob(f"outputs/v1/adhoc/runs/*/*/*/*/{RECORD}")
    return record.parent


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _files(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_run_is_reproduced_bit_for_bit_and_left_alone(copy: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree("outputs/v1/.cells")  # the cells are prepared anew
    before = _files(Path("outputs"))
    run_id = json.loads((copy / RECORD).read_text())["run_id"]
    assert main([run_id[:8], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run_id"] == run_id
    assert found["held"]
    assert {number["verdict"] for number in found["numbers"]} == {"equal"}
    assert _files(Path("outputs")) == before


def test_a_number_that_does_not_hold(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    again, record = (json.loads((copy / RECORD).read_text()) for _ in range(2))
    record["metrics"]["test"]["ari"] += 0.25
    _change(copy / RECORD, metrics=record["metrics"])
    monkeypatch.setattr("bie.reproduction.rerun.rerun", lambda origin, python: again)
    assert main(["--table", "outputs/v1/adhoc"]) == 1
    out = capsys.readouterr().out
    assert "1 of 1 finished runs" in out
    assert "DIFFERS" in out
    assert "1 different" in out
    assert "0 of 1 held" in out


def test_runs_of_one_environment_say_it_once(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    folder = copy.relative_to(Path.cwd())
    two = [folder, folder.with_name("seed=0001")]
    monkeypatch.setattr("bie.reproduction.sample.stratified", lambda tree, n: (two, 2))
    monkeypatch.setattr("bie.reproduction.origin.origin_of", lambda tree, _: origin_of(tree, folder))
    monkeypatch.setattr("bie.reproduction.rerun.rerun", lambda origin, python: origin.record)
    found = [Difference("numpy", "2.3", "2.4")]
    monkeypatch.setattr("bie.reproduction.environment.Recorded.differences", lambda self: found)
    assert main(["--table", "outputs/v1/adhoc", "--here"]) == 0
    out = capsys.readouterr().out
    assert out.count("environment: this one, as asked: numpy 2.4 (not 2.3)\n") == 1
    assert out.count("  held  ") == 2

    def unbuilt(recorded: object, failed: object) -> Path:
        raise BadInput("no network")

    monkeypatch.setattr("bie.reproduction.environment.built", unbuilt)
    assert main(["--table", "outputs/v1/adhoc"]) == 2
    out = capsys.readouterr().out
    name = folder.relative_to("outputs/v1/adhoc/runs")
    assert f"  NOT DONE  {name} and 1 more  no network\nnone was done again; 2 could not be" in out


@pytest.mark.parametrize(
    "broken", ["schema", "truncated", "points", "source", "no run", "metrics", "config", "seed"]
)
def test_what_cannot_be_done_again_is_one_line(broken: str, copy: Path, capsys: pytest.CaptureFixture[str]):
    (launch,) = Path("outputs/v1/adhoc/launches").iterdir()
    says = {"points": "imported", "source": "frozen in no launch", "no run": "no run of a study"}
    if broken == "schema":
        _change(copy / RECORD, schema=99)
        says[broken] = "schema 99"
    elif broken == "metrics":
        _change(copy / RECORD, metrics=None)
        says[broken] = "metrics cannot be read"
    elif broken in ("config", "seed"):  # numbers of the run of the launch say nothing of such a record
        record = json.loads((copy / RECORD).read_text())
        train = record["config"]["train"] | {"epochs": 99}
        _change(
            copy / RECORD,
            **({"seed": 7} if broken == "seed" else {"config": record["config"] | {"train": train}}),
        )
        says[broken] = "not those that its ids were made of"
    elif broken == "truncated":
        (copy / RECORD).write_bytes((copy / RECORD).read_bytes()[:100])
        says[broken] = "cannot be read"
    elif broken == "points":
        (launch / POINTS).unlink()
    elif broken == "source":
        (launch / SOURCE).write_bytes(b"no archive")
    assert main(["f" * 12 if broken == "no run" else str(copy)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says[broken] in line


def test_cells_that_are_others_by_now_are_no_failure_of_the_run(
    copy: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.rmtree("outputs/v1/.cells")
    (points,) = Path("outputs").rglob(POINTS)
    found = json.loads(points.read_text())
    for point in found.values():
        point["config"]["dataset"]["seed"] = 1
    points.write_text(json.dumps(found))
    assert main([str(copy)]) == 2
    said = capsys.readouterr().err
    assert "dataset=zinb: its cells are not those of the run (SHA-256 " in said
    assert "Put its files back" in said


def test_what_cannot_be_done_again_is_no_difference(copy: Path, capsys: pytest.CaptureFixture[str]):
    """Nothing was compared, so no share held and none did not."""
    for points in Path("outputs").rglob(POINTS):
        points.unlink()
    assert main(["--table", "outputs/v1/adhoc"]) == 2
    out = capsys.readouterr().out
    assert "  NOT DONE  zinb/scvi/" in out
    assert out.endswith("none was done again; 1 could not be done again\n")
    assert main(["--table", "outputs/v1/adhoc", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["held"], found["n"], len(found["not_done"])) == (0, 0, 1)
    shutil.rmtree("outputs/v1/adhoc/launches")
    Path("outputs/v1/adhoc/launches").mkdir()
    for folder, says in (
        (copy, "no launch of its study asked for this run"),
        (copy.parents[3], "bie logs --failed"),
    ):
        assert main([str(folder)]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed", [[], ["run", "--table", "x"], ["run", "--sample", "0"], ["run", "--tolerance", "-1"]]
)
def test_bad_usage(typed: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
