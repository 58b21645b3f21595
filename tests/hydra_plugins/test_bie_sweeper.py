"""The sweeper between Hydra and launchers: bie's get a whole plan, others the overrides of each run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bie.run import main
from bie.store.record import read

pytestmark = pytest.mark.usefixtures("linear_probes")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a launcher that stands in for any other is asked for."""
    asked: list[Any] = []

    class Recorder(Launcher):
        def setup(
            self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
        ) -> None:
            self.config = config

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            asked.extend(job_overrides)
            return [JobReturn(status=JobStatus.COMPLETED, _return_value=0) for _ in job_overrides]

    def recorder(self: Plugins, **given: Any) -> Launcher:
        made = Recorder()
        made.setup(**given)
        return made

    monkeypatch.setattr(Plugins, "instantiate_launcher", recorder)
    return asked


def test_a_launcher_of_hydra_gets_the_overrides_of_each_run(
    in_tmp: Path, tiny: tuple[str, ...], launched: list[Any]
):
    typed = ["-m", *tiny, "hydra/launcher=basic", "model=pca,scvi_mine", "mine.scale=2,3", "seed=0..1"]
    assert main([*typed, "study.name=other"]) == 0
    assert len(launched) == 2 * 3
    assert "model=pca" in launched[0]
    assert "++seed=0" in launched[0]
    assert "++study.name='other'" in launched[0]
    assert not any("mine.scale" in text for text in launched[0])
    assert "++mine.scale=2" in launched[1]


def test_hydras_own_launcher_runs_one_run_after_the_other(
    in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    typed = ["-m", *tiny, "hydra/launcher=basic", "model=noise,pca"]
    assert main(typed) == 0
    records = [read(path) for path in Path("outputs").rglob("record.json")]
    assert sorted(record["config"]["model"]["name"] for record in records if record) == ["noise", "pca"]
    assert sorted(path.name for path in in_tmp.iterdir()) == ["outputs"]
    assert sorted(path.name for path in Path("outputs/v1/adhoc").iterdir()) == ["launches", "runs"]
    capsys.readouterr()
    assert main(typed) == 0
    assert "2 done already, 0 to do" in capsys.readouterr().out


def test_a_study_is_the_same_through_hydra_or_bie(in_tmp: Path, tiny: tuple[str, ...]):
    typed = [*tiny, "model=pca", "dataset.seed=${seed}", "seed=0..1"]
    assert main(["-m", *typed, "hydra/launcher=basic"]) == 0
    before = {path: path.read_bytes() for path in Path("outputs").rglob("record.json")}
    assert len(before) == 2
    assert main(["-m", *typed, "hydra.launcher.workers=0"]) == 0
    assert {path: path.read_bytes() for path in Path("outputs").rglob("record.json")} == before
