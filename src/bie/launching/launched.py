"""The folder of a launch for those who carry it out: grid points as files, runs back from them, their events.

The canary is a short run of each grid point before the sweep: what cannot work fails in a minute, once.

Each task appends the ends of its runs to a file of its own, so nothing is ever locked. These events serve the
task after a restart, and the circuit breaker, which stops a launch whose runs fail of one thing: the rest
would too. What is true of a run stands in its own folder.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bie import kinds
from bie.config import Data, RunConfig, Settings
from bie.data.overrides import typed
from bie.data.prepared import write_prepared
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.stopping import Rules
from bie.planning.datasets import Datasets
from bie.planning.plan import Plan, Point
from bie.schema import validated
from bie.store.identity import SHOWN
from bie.store.identity import config_id as identity_of
from bie.store.launches import BEFORE, CANARY, LAUNCH, POINTS, planned_tasks, stop
from bie.store.paths import Tree
from bie.store.record import DECIDED, as_json, normalised, read, write_file

EPOCHS, MOST = 2, 50
"""Epochs of a canary's runs; tasks of a canary at the most, which share the grid points."""
EVENTS = "journal"


def grid_points(
    plan: Plan, datasets: Datasets, seconds: Mapping[int, float], rules: Rules
) -> dict[str, dict[str, Any]]:
    """``points.json``: by config_id, what a run of each grid point with something to do is.

    The cells are prepared in the tree; what was decided under other `rules` alone is open again. `seconds`
    are those expected of a run, by index of the point, where they are known.
    """
    tree = plan.tree
    for index, point in enumerate(plan.points):
        note = tree.config_dir(point.dataset, point.model, point.config_id) / DECIDED
        if index in plan.decided:
            write_file(note, as_json(plan.decided[index]))
        else:
            note.unlink(missing_ok=True)
    found = {}
    for i in dict.fromkeys(index for index, _ in plan.todo):
        point = plan.points[i]
        found[point.config_id] = {
            "title": point.title,
            "config": point.config.model_dump(mode="json") | {"dataset": from_anywhere(point.config.dataset)},
            "plain": point.plain,
            "shelf": _prepared(point.config.dataset, datasets, tree).name,  # its name in launches on disk
            "origin": _origin(point),
            "seconds": seconds.get(i),
            "stop": rules.get(point.config_id),
        }
    return found


def from_anywhere(section: Data) -> dict[str, Any]:
    """Plain values of a data set whose paths hold in whatever folder its cells are prepared once more."""
    paths = {key: value for key, value in section if isinstance(value, Path)}
    return section.model_dump(mode="json") | {key: str(typed(path).absolute()) for key, path in paths.items()}


def _prepared(section: Data, datasets: Datasets, tree: Tree) -> Path:
    """Where the prepared cells are; a name alone where there are no cells."""
    if kinds.of(section):
        return kinds.place(section, tree.prepared)
    return write_prepared(datasets[section], tree.prepared)


def _origin(point: Point) -> dict[str, object]:
    """Where a dataset came from: what its section says beyond its identity, such as the path."""
    dumped = point.config.dataset.model_dump(mode="json")
    local = {key: value for key, value in dumped.items() if key not in point.plain["dataset"]}
    content = point.plain["dataset"]
    return {name: content[name] for name in ("sha256", "unlabelled_sha256")} | local


def settings_of_launch(folder: Path) -> Settings:
    """The settings that a launch was made with."""
    return validated(Settings, (read(folder / LAUNCH) or {})["settings"])


def runs_of(folder: Path, index: int | None = None) -> list[RunSpec]:
    """Runs that a launch had to do, or one of its tasks, in their order; done or not by now."""
    tree, known = Tree(folder.parents[1]), read(folder / POINTS) or {}
    configs: dict[str, RunConfig] = {}
    chosen = [
        (config_id, seed)
        for config_id, seed, task in planned_tasks(folder)
        if (task != BEFORE if index is None else task == index)
    ]
    for config_id, _ in chosen:
        if config_id not in configs:
            configs[config_id] = validated(RunConfig, known[config_id]["config"])
    return [run_of(tree, config_id, known[config_id], configs[config_id], seed) for config_id, seed in chosen]


def run_of(tree: Tree, config_id: str, point: Mapping[str, Any], config: RunConfig, seed: int) -> RunSpec:
    """One run of a grid point, whose entry in ``points.json`` is `point`."""
    return RunSpec(
        point["title"],
        config.model_copy(update={"seed": seed}),
        point["plain"],
        config_id,
        tree.prepared / point["shelf"],
        point["origin"],
        tree.run_dir(config.dataset.name, config.model.name, config_id, seed),
        point.get("stop"),
    )


def n_canary_tasks(n_points: int) -> int:
    """Tasks of the canary of a launch."""
    return min(n_points, MOST)


def canary_runs(launch: Path, index: int) -> list[RunSpec]:
    """Runs of one task of the canary, which go to the launch's own folder, never among the study's runs."""
    tree = Tree(launch.parents[1])
    known = sorted((read(launch / POINTS) or {}).items())
    mine = known[index :: n_canary_tasks(len(known))]
    configs = [validated(RunConfig, point["config"]) for _, point in mine]
    return [
        _short(run_of(tree, name, point, config, config.seed), launch)
        for (name, point), config in zip(mine, configs, strict=True)
    ]


def _short(task: RunSpec, launch: Path) -> RunSpec:
    """The same run in a folder of its own, with few epochs, which a control has not: another experiment."""
    plain, config = task.plain, task.config
    if "train" in plain:
        epochs = min(EPOCHS, config.train.epochs)
        config = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})
        plain = {**plain, "train": {**plain["train"], "epochs": epochs}}
    folder = launch / CANARY / task.config_id[:SHOWN] / task.folder.name
    return replace(task, config=config, plain=plain, config_id=identity_of(plain), folder=folder)


def expected_seconds(folder: Path) -> dict[str, float]:
    """Forecast of the launch: seconds of a run by config_id, where earlier runs told."""
    known = read(folder / POINTS) or {}
    return {config_id: point["seconds"] for config_id, point in known.items() if point["seconds"] is not None}


@dataclass(frozen=True)
class Event(Outcome):
    """How a run ended, and which; or (``fruitless``) that an incarnation of the task got nothing done."""

    config_id: str = ""
    seed: int = -1


def note(launch: Path, name: str, outcome: Outcome, spec: RunSpec | None = None) -> None:
    """Append to the events of a task. A full disk costs the entry, not the run."""
    run = {"config_id": spec.config_id, "seed": spec.config.seed} if spec else {}
    try:
        (launch / EVENTS).mkdir(exist_ok=True)
        with (launch / EVENTS / f"{name}.jsonl").open("ab", buffering=0) as file:  # in one write
            file.write((json.dumps(asdict(outcome) | run) + "\n").encode())
    except OSError as error:
        print(f"cannot write the events of {launch}: {error}", flush=True)


def read_events(launch: Path, name: str) -> list[Event]:
    """Whole entries of the events of a task, or of all whose names match a pattern."""
    files = sorted((launch / EVENTS).glob(f"{name}.jsonl"))
    return [event for path in files for event in _parsed(path.read_bytes())]


def _parsed(text: bytes) -> Iterator[Event]:
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        try:
            value: dict[str, Any] = json.loads(line)
        except ValueError:  # two incarnations of a task, or a full disk
            continue
        yield Event(**value)


def break_circuit(launch: Path, most: int | None) -> bool:
    """Stop a launch whose failures are of one kind: `most` of them, and half of the runs that ended or more.

    Returns
    -------
    bool
        True for the one who stops it.
    """
    if most is None:
        return False
    ended = read_events(launch, "[0-9]*")
    kinds = Counter(f"{e.cause}: {normalised(e.message)}" for e in ended if e.status == "failed")
    if not kinds:
        return False
    reason, n = kinds.most_common(1)[0]
    n_ended = sum(e.status in ("done", "failed") for e in ended)
    if n < most or 2 * n < n_ended:
        return False
    return stop(launch, f"{n} of {n_ended} runs failed alike, {reason}")
