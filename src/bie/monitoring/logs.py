"""``bie logs``: all that is known of one run, and all failures by reason: many failures, few reasons."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bie.monitoring.launches import Launch
from bie.monitoring.runs import Run
from bie.monitoring.study_status import StudyStatus, read_status
from bie.planning.durations import duration
from bie.store.identity import SHOWN
from bie.store.paths import Tree
from bie.store.record import FAILED, RECORD, first_line, normalised, read

MOST = 4  # seeds named before "and n more"
TAIL = 30  # lines of a task's log where the run itself left none
MARK = "--- "
"""Begins the line that a worker prints before each run, followed by the run's folder."""


@dataclass(frozen=True)
class Failure:
    """Runs that failed with one cause and, but for numbers and names, one message."""

    cause: str
    runs: tuple[Run, ...]

    @property
    def message(self) -> str:
        """First line of the first run's message."""
        return first_line(self.runs[0].message)

    def command(self, status: StudyStatus) -> str:
        """What shows one of them in full; from any folder where the study is named."""
        return _command(self.runs[0], status)


def _command(run: Run, status: StudyStatus) -> str:
    return f"bie logs {shlex.quote(str(run.folder(status.tree))) if status.named else run.run_id[:SHOWN]}"


def failures(runs: Iterable[Run]) -> list[Failure]:
    """Failed runs by reason, the most frequent first."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.state == "failed":
            groups.setdefault((run.cause, normalised(run.message)), []).append(run)
    found = [Failure(cause, tuple(members)) for (cause, _), members in groups.items()]
    return sorted(found, key=lambda failure: -len(failure.runs))


def seeds(runs: Iterable[Run]) -> str:
    """Seeds of runs in words.

    >>> from types import SimpleNamespace as S
    >>> seeds([S(seed=63), S(seed=17)]), seeds([S(seed=3), S(seed=3)])
    ('seeds 17, 63', 'seed 3')
    """
    known = sorted({run.seed for run in runs})
    listed = ", ".join(map(str, known[:MOST]))
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    return f"seed{'s' * (len(known) > 1)} {listed}{more}"


def headline(found: Iterable[Failure]) -> str:
    """How many failures, how few causes.

    A cause is a reason here: two messages of the same class are two.
    """
    groups = list(found)
    n = sum(len(failure.runs) for failure in groups)
    return f"{n:,} failure{'s' * (n != 1)} = {len(groups):,} cause{'s' * (len(groups) != 1)}"


def report(status: StudyStatus) -> Iterator[str]:
    """All failures of a study by reason, each with an example, and what to type next."""
    found = failures(status.runs)
    missing = dict[str, list[Run]]()
    for run in status.runs:
        if run.state == "missing":
            missing.setdefault(run.launch.stopped, []).append(run)
    yield headline(found)
    for failure in found:
        yield from _paragraph(failure, status)
    for why, runs in missing.items():
        n = len(runs)
        said = f"the launch was stopped, {why}" if why else "asked for, not done, and nobody is at them"
        yield ""
        counted = f"{n:,}{' more' * bool(found)} run{'s are' if n > 1 else ' is'} missing"
        yield f"{counted}: {said} (bie status{status.named})"
        if ahead := next((run for run in runs if run.failed_canary), None):
            yield f"  {_command(ahead, status)}      what its canary said"
    causes = [*dict.fromkeys(failure.cause for failure in found), *(["missing"] if missing else [])]
    if causes:
        yield ""
        yield f"  bie retry{status.named} --cause {','.join(causes)}      again"


def _paragraph(failure: Failure, status: StudyStatus) -> Iterator[str]:
    per_point = Counter(run.config_id for run in failure.runs)
    n = len(failure.runs)
    yield ""
    yield f"{failure.cause}  {n:,} run{'s' * (n != 1)}: {failure.message or 'no message'}"
    for config, runs in per_point.most_common(MOST):
        members = [run for run in failure.runs if run.config_id == config]
        yield f"  {' '.join(status.titles[config])}: {runs:,}, {seeds(members)}"
    if len(per_point) > MOST:
        yield f"  and {len(per_point) - MOST:,} more grid points"
    yield f"  {failure.command(status)}      one of them in full"


def run_log(tree: Tree, run: Run) -> list[str]:
    """State of a run, what it did or why it failed, and its part of the newest log that has one."""
    status = read_status(tree)
    known = next(found for found in status.runs if found.run_id == run.run_id)
    folder = known.folder(tree)
    if known.state == "missing" and (canary := known.failed_canary):
        return [*_facts(tree, known), *_failure(canary, " of its canary"), *_canary_log(known, canary)]
    ending = _record(folder) if known.state == "done" else _failure(folder)
    return [*_facts(tree, known), *ending, *_log(status.launches, known)]


def _facts(tree: Tree, run: Run) -> Iterator[str]:
    point = f"{run.dataset} {run.model}, config {run.config_id[:SHOWN]}"
    yield f"run {run.run_id[:SHOWN]}  {point}, seed {run.seed}"
    yield f"{run.state}{f' ({run.cause})' if run.cause else ''}  {run.folder(tree)}"
    task = f", task {run.launch.name_of(run.task)}" if run.launch.key_of(run.task) else ""
    yield f"launch {run.launch.id}{task}"
    if run.message:
        yield f"{run.message}"
    if run.state == "missing" and run.launch.stopped:
        yield f"the launch was stopped, {run.launch.stopped}"


def _record(folder: Path) -> Iterator[str]:
    """What a finished run did: how long, where, its scores, its last epoch, its files."""
    record = read(folder / RECORD) or {}
    timing, origin = record["timing"], record["provenance"]
    stages = {name.removesuffix("_s"): value for name, value in timing.items() if name.endswith("_s")}
    total = duration(stages.pop("total", 0.0))
    spent = ", ".join(f"{stage} {value:.1f} s" for stage, value in stages.items())
    device = (origin.get("device") or {}).get("type", "an unknown device")
    yield ""
    yield f"--- {RECORD}"
    yield f"{total} on {origin.get('host', 'an unknown host')} ({device})" + (f": {spent}" if spent else "")
    if interruptions := timing.get("interruptions"):
        yield f"interrupted {interruptions} time{'s' * (interruptions != 1)}, and gone on from a checkpoint"
    for split in ("train", "test"):
        yield _numbers(f"{split:<5}", record["metrics"][split])
    if tail := record.get("history_tail"):
        yield _numbers("last epoch", tail)
    yield "files: " + ", ".join(sorted(path.name for path in folder.iterdir()))


def _numbers(name: str, values: Mapping[str, float | None]) -> str:
    return "  ".join([name, *(f"{key} {value:.4g}" for key, value in values.items() if value is not None)])


def _failure(folder: Path, of: str = "") -> Iterator[str]:
    failure = read(folder / FAILED)
    if failure:
        yield ""
        yield f"--- {FAILED}{of}, attempt {failure.get('attempt', 1)}"
        yield str(failure.get("traceback") or failure.get("message", "")).rstrip()


def _canary_log(run: Run, folder: Path) -> Iterator[str]:
    for path in run.launch.logs:
        if lines := section(path, "/".join(folder.parts[-3:])):
            yield from ("", f"--- {path}", *lines)
            return


def _log(launches: list[Launch], run: Run) -> Iterator[str]:
    own = run.launch.logs_of(run.task)
    for path in (path for launch in reversed(launches) for path in _logs(launch, run)):
        if lines := section(path, run.place):
            yield from ("", f"--- {path}", *lines)
            own = own[1:]  # what of the task's errors is of the run is not told
            break
    for path in own:
        if lines := _tail(path):
            yield from ("", f"--- {path}: the end of it, which names no run", *lines)


def _logs(launch: Launch, run: Run) -> list[Path]:
    """Logs of a launch that can hold the run: its task's, or those of all workers."""
    own = launch.logs_of(run.task)[:1] if launch.id == run.launch.id else []
    return own or launch.logs


def section(path: Path, place: str) -> list[str]:
    """Lines of a log that belong to a run: after each line ``--- <its folder>``, up to the next such line."""
    lines, inside = [], False
    with path.open(errors="replace") as file:
        for line in file:
            if line.startswith(MARK):
                inside = line.rstrip().endswith(f"/{place}")
            if inside:
                lines.append(line.rstrip("\n"))
    return lines


def _tail(path: Path) -> list[str]:
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in file][-TAIL:]
