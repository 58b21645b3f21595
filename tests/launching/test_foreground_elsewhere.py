"""A launch in this process, and what is not admitted to one."""

from collections import deque
from collections.abc import Callable

from bie.execution.packs import Pack, Packing
from bie.execution.pool import _next
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching.foreground import InThisProcess
from bie.store.record import CHECKPOINT
from tests.execution.runs import Make


class Watcher:
    """Notes how runs end; may act on epochs."""

    def __init__(self, on_epoch: Callable[[int], None] = lambda epoch: None) -> None:
        self.ends, self.said, self._on_epoch = list[tuple[str, str]](), 0, on_epoch

    def started(self, spec: RunSpec) -> None: ...

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        self._on_epoch(epoch)

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        self.ends.append((spec.title, outcome.status))

    def stopping(self) -> None:
        self.said += 1


def test_what_is_not_admitted_is_left_out(make_run: Make) -> None:
    specs = [make_run(name) for name in ("long", "short")]
    queue = deque[Pack]((spec,) for spec in [*specs, *specs])
    assert _next(queue, lambda pack: pack[0].title == "short") == (specs[1],)
    assert _next(queue, lambda pack: False) is None
    assert not queue


def test_an_interrupted_launch_starts_nothing_more(make_run: Make) -> None:
    specs, runner = [make_run("one"), make_run("two")], InThisProcess("launch", Packing())
    watcher = Watcher(lambda epoch: runner.interrupt())
    runner.run(specs, watcher)
    assert watcher.ends == [("one", "interrupted")]
    assert watcher.said == 1
    assert (specs[0].folder / CHECKPOINT).exists()
    assert not specs[1].folder.exists()
