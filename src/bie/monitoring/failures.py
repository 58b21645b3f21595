"""Many failures, few reasons: runs that failed of the same thing, put together."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bie.launching.circuit_breaker import first_line, normalised
from bie.monitoring.planned import Run, titles
from bie.monitoring.study_status import StudyStatus
from bie.store.identity import SHOWN
from bie.store.paths import Tree

MOST = 4  # seeds named before "and n more"


@dataclass(frozen=True)
class Failure:
    """Runs that failed with one cause and, but for numbers and names, one message."""

    cause: str
    runs: tuple[Run, ...]

    @property
    def message(self) -> str:
        """First line of the first run's message."""
        return first_line(self.runs[0].message)

    def command(self, tree: Tree | None) -> str:
        """What shows one of them in full; with `tree` from any folder, not only beside ``outputs/``."""
        run = self.runs[0]
        return f"bie logs {shlex.quote(str(run.folder(tree))) if tree else run.run_id[:SHOWN]}"


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


def report(status: StudyStatus, tree: str) -> list[str]:
    """All failures of a study by reason, each with an example, and what to type next.

    Parameters
    ----------
    tree
        To be named in the commands, see `bie.store.paths.spelled`.
    """
    named = f" {tree}" if tree else ""
    where = status.tree if tree else None
    found = failures(status.runs)
    missing = sum(run.state == "missing" for run in status.runs)
    names = titles(status.launches) if found else {}
    lines = [headline(found), *(line for failure in found for line in _paragraph(failure, names, where))]
    if missing:
        lines += ["", f"{missing:,} more runs are missing: nothing is known of them (bie status{named})"]
    if found:
        causes = ",".join(dict.fromkeys(failure.cause for failure in found))
        lines += ["", f"  bie retry{named} --cause {causes}      again"]
    return lines


def _paragraph(failure: Failure, names: dict[str, tuple[str, ...]], where: Tree | None) -> Iterator[str]:
    per_cell = Counter(run.config_id for run in failure.runs)
    n = len(failure.runs)
    yield ""
    yield f"{failure.cause}  {n:,} run{'s' * (n != 1)}: {failure.message or 'no message'}"
    for config, runs in per_cell.most_common(MOST):
        members = [run for run in failure.runs if run.config_id == config]
        yield f"  {' '.join(names[config])}: {runs:,}, {seeds(members)}"
    if len(per_cell) > MOST:
        yield f"  and {len(per_cell) - MOST:,} more grid points"
    yield f"  {failure.command(where)}"
