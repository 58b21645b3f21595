"""The runs that the launches of a study asked for, each once; and which of them is meant."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bie.errors import BadInput
from bie.monitoring.launches import Launch, read_launches
from bie.store.identity import SHOWN
from bie.store.launches import BEFORE, CANARY, planned_tasks
from bie.store.paths import Tree, find_tree, seed_name
from bie.store.record import FAILED

MOST = 10  # candidates that are listed
_FOLDER = re.compile(r"(?P<config>[0-9a-f]{4,64})(?:/seed=(?P<seed>\d+))?(?:/[\w.]+)?/*$")
_RUN = ("dataset", "model", "config_id", "seed", "run_id")

TaskId = tuple[str, int]
"""Id of its launch, index."""


@dataclass(slots=True)
class Run:
    """A run that was asked for, and what has become of it (`bie.monitoring.study_status`)."""

    launch: Launch  # the last that had it to do
    task: int  # of that launch; `BEFORE` where none had it to do
    dataset: str
    model: str
    config_id: str
    seed: int
    run_id: str
    state: str = "missing"  # or done, running, queued, failed
    cause: str = ""
    message: str = ""
    failed_at: float = 0.0  # by the clock of the file server

    @property
    def task_id(self) -> TaskId:
        """Its task, among those of all launches."""
        return self.launch.id, self.task

    def folder(self, tree: Tree) -> Path:
        """The run's own folder."""
        return tree.run_dir(self.dataset, self.model, self.config_id, self.seed)

    @property
    def failed_canary(self) -> Path | None:
        """Folder of the run that its launch sent ahead for its grid point and that failed, if any."""
        seeds = self.launch.folder / CANARY / self.config_id[:SHOWN]
        return next((path.parent for path in seeds.glob(f"*/{FAILED}")), None)

    @property
    def place(self) -> str:
        """The end of its folder's name, by which logs know it."""
        return "/".join((self.dataset, self.model, self.config_id[:SHOWN], seed_name(self.seed)))


def planned_runs(launches: Sequence[Launch]) -> list[Run]:
    """Every run that any of the launches asked for, once, in the order in which it was first asked for."""
    runs: dict[str, Run] = {}
    for launch in launches:
        for *named, task in planned_tasks(launch.folder, _RUN):
            run = runs.get(named[-1])
            if run is None:
                runs[named[-1]] = Run(launch, task, *named)
            elif task != BEFORE:
                run.launch, run.task = launch, task
    return list(runs.values())


def find_run(text: str, outputs: Path) -> tuple[Tree, Run]:
    """The run with an id, or a unique beginning of one, or the folder of the run.

    The studies are searched from the newest to the oldest; the first that knows such a run counts.

    Raises
    ------
    BadInput
        There is no such run, or there are several.
    """
    for tree in _trees(text, outputs):
        runs = planned_runs(read_launches(tree))
        found = _by_folder(text, runs) if "/" in text else [r for r in runs if r.run_id.startswith(text)]
        if len(found) == 1:
            return tree, found[0]
        if found:
            raise BadInput(f"{text} means {len(found):,} runs of {tree.root}:\n{_listed(found)}")
    if "/" in text and Path(text).exists():
        if _FOLDER.search(text):
            raise BadInput(
                f"{text}: no launch of its study asked for this run (it was imported, or launches/ is gone), "
                "so that it has no log and cannot be done again. Its numbers: bie aggregate"
            )
        raise BadInput(
            f"{text} is no folder of a run, which is runs/DATASET/MODEL/CONFIG/seed=0000 in a study. "
            f"What failed in a study: bie logs --failed {text}"
        )
    raise BadInput(
        f"{text}: no run of a study in {outputs}/ has an id that begins so. bie status lists them; what was "
        "imported (bie aggregate --import) has no log"
    )


def _trees(text: str, outputs: Path) -> Iterator[Tree]:
    """The study that a path lies in; else all of them, the newest first."""
    inside = [parent for parent in Path(text).absolute().parents if (parent / "launches").is_dir()]
    if inside:
        yield Tree(inside[0])
        return
    newest = find_tree(None, outputs)
    yield newest
    others = sorted(outputs.glob("*/*/launches"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    yield from (Tree(path.parent) for path in others if path.parent != newest.root)


def _by_folder(text: str, runs: list[Run]) -> list[Run]:
    named = _FOLDER.search(text)
    if named is None:
        return []
    config, seed = named["config"][:SHOWN], named["seed"]
    return [
        run for run in runs if run.config_id.startswith(config) and (seed is None or run.seed == int(seed))
    ]


def _listed(runs: list[Run]) -> str:
    lines = [f"  {run.run_id[:SHOWN]}  {run.place}" for run in runs[:MOST]]
    more = [f"  and {len(runs) - MOST:,} more"] if len(runs) > MOST else []
    return "\n".join([*lines, *more])
