"""The server of the workers, what is loaded when, and signals to a launch."""

import json
import signal
import subprocess
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from bie.execution.processes import stoppable, warm_up
from bie.run import one_run_here

FORKED = """
import gc, json, sys
from bie.execution.processes import single_threaded, warm_up

def tell(pipe):
    found = [name for name in ("torch", "bie.methods.trained", "sklearn", "ot") if name in sys.modules]
    pipe.send(found)

if __name__ == "__main__":
    single_threaded()
    context = warm_up()
    ours, theirs = context.Pipe()
    process = context.Process(target=tell, args=(theirs,))
    process.start()
    print(json.dumps(ours.recv()))
    process.join()
"""


def told(script: str, *arguments: str) -> Any:
    command = [sys.executable, script, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_workers_are_forked_with_their_libraries(tmp_path: Path) -> None:
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    assert told(str(script)) == ["torch", "bie.methods.trained", "sklearn", "ot"]


def test_the_worker_of_a_single_run_loads_later_what_scores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[list[str]]()
    monkeypatch.setattr(ForkServerContext, "set_forkserver_preload", lambda _, names: asked.append(names))
    monkeypatch.setattr(forkserver, "ensure_running", lambda: None)
    warm_up("one")
    warm_up("many")
    one, many = asked
    assert "bie.methods.trained" in one
    assert set(many) - set(one) >= {"sklearn.metrics", "ot"}


def test_the_server_starts_before_anything_heavy_is_loaded() -> None:
    heavy = ["numpy", "hydra", "pydantic", "torch"]
    code = f"import bie.run, bie.execution.processes, sys; sys.exit(any(m in sys.modules for m in {heavy}))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_launch_loads_no_pandas(tmp_path: Path) -> None:
    script = tmp_path / "launch.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "from bie.store.launches import COLUMNS, TASK, open_launch, planned_tasks\n"
        "from bie.store.paths import Tree\n"
        "plan = {name: ['ä', 'b'] for name in COLUMNS} | {'seed': [2**32 - 1, 0], TASK: [0, -1]}\n"
        "settings = {'hydra': {'launcher': {'kind': 'local'}}}\n"
        "folder = open_launch(Tree(Path(sys.argv[1])), [], plan, {}, settings)\n"
        "print(json.dumps([planned_tasks(folder), 'pandas' in sys.modules]))\n"
    )
    assert told(str(script), str(tmp_path)) == [[["ä", 2**32 - 1, 0], ["b", 0, -1]], False]


@pytest.mark.parametrize(
    ("typed", "here"),
    [
        (["dataset=zinb", "train=smoke"], True),
        (["-m", "seed=1,2"], False),
        (["--cfg", "job"], False),
        (["--config-dir", "mine"], False),
        (["hydra/launcher=submitit_slurm"], False),
        (["hydra.launcher.workers=0"], False),
        (["study=trade_off"], False),
    ],
)
def test_what_looks_like_a_single_run(typed: list[str], here: bool) -> None:
    assert one_run_here(typed) == here


def test_the_second_signal_is_the_last() -> None:
    calls: list[int] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stoppable(lambda: calls.append(1)), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        assert calls == [1]
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
