"""How a launch gets on: on a terminal, and what a log file gets of it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from bie.execution.progress import QUIET_S, Lines, Scoreboard, Terminal
from bie.execution.run_spec import Outcome, RunSpec
from bie.planning.durations import duration
from bie.planning.expand import expand

SCORES: dict[str, float | None] = {"ari": 0.812, "be": 0.6, "be_ceiling": 0.66}


@pytest.fixture
def task_of(configurations):
    def spec(model: str, seed: int) -> RunSpec:
        config = (
            expand([f"model={model}", f"seed={seed}", "train.epochs=10"], configurations)
            .combinations[0]
            .config
        )
        return RunSpec(f"zinb {model}", config, {}, "0" * 64, Path(), {}, Path(model, str(seed)))

    return spec


def test_time_left_learns_from_each_model_and_from_shares_of_runs(task_of):
    board = Scoreboard({"scvi": 3, "scvi_mine": 2}, n_workers=2)
    assert board.seconds_left() is None
    first = task_of("scvi", 0)
    board.started(first)
    board.ended(first, Outcome("done", scores=SCORES, seconds=10.0))
    assert board.seconds_left() == pytest.approx((2 * 10 + 2 * 10) / 2), (
        "an unknown model is guessed from the others"
    )
    second = task_of("scvi_mine", 0)
    board.started(second)
    board.ended(second, Outcome("done", scores=SCORES, seconds=30.0))
    assert board.seconds_left() == pytest.approx((2 * 10 + 1 * 30) / 2)
    board.started(task_of("scvi", 1))
    board.epoch(task_of("scvi", 1), 5)
    assert board.seconds_left() == pytest.approx((2 * 10 + 30 - 5) / 2)


def test_failures_do_not_teach_how_long_runs_take(task_of):
    board = Scoreboard({"scvi": 2}, n_workers=1)
    spec = task_of("scvi", 0)
    board.started(spec)
    board.ended(spec, Outcome("failed", "nan", "loss is nan"))
    assert board.seconds_left() is None
    assert board.line() == "1/2   1 worker   running 0   failed 1"


def test_a_line_per_run_greps_well(task_of):
    stream = io.StringIO()
    lines = Scoreboard({"scvi": 2}, 1, Lines(stream, QUIET_S))
    for seed, outcome in enumerate(
        [Outcome("done", scores=SCORES, seconds=72.0), Outcome("failed", "nan", "elbo is nan\nmore")]
    ):
        spec = task_of("scvi", seed)
        lines.started(spec)
        lines.epoch(spec, 5)
        lines.ended(spec, outcome)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("done zinb scvi seed=0  ari 0.81  be 0.60 of 0.66  72 s")
    assert "left 72 s" in first
    assert second.endswith("failed (nan) zinb scvi seed=1: elbo is nan")


def test_only_what_had_begun_is_said_to_be_stopped_midway(task_of):
    stream = io.StringIO()
    lines = Scoreboard({"scvi": 2}, 1, Lines(stream, QUIET_S))
    for seed, outcome in enumerate([Outcome("interrupted", seconds=3.0), Outcome("interrupted")]):
        lines.started(task_of("scvi", seed))
        lines.ended(task_of("scvi", seed), outcome)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("stopped, with a checkpoint: zinb scvi seed=0")
    assert second.endswith("stopped before it began: zinb scvi seed=1")
    assert (lines.midway, lines.left.total()) == (1, 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (130, "2.2 min"),
        (1300, "22 min"),
        (5400, "1 h 30 min"),
        (86400, "24 h 0 min"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), width=120, height=20, force_terminal=True, color_system=None)


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_the_bar_moves(screen: Console) -> None:
    with Terminal(screen) as view:
        view.show(0.25, "0/2   seed 7")
        view._live.refresh()
    last = next(line for line in reversed(printed(screen).splitlines()) if "0/2" in line)
    assert last.count("━") + last.count("╸") == 5
    assert last.rstrip().endswith("0/2   seed 7")


def test_what_stays_is_printed_once_and_the_last_news_stand_below_the_bar(screen: Console) -> None:
    with Terminal(screen) as view:
        view.say("1/2", "failed (nan): [b]")
        view.say("2/2", "done seed=1", stays=False)
        view.show(1.0, "2/2")
        view._live.refresh()
    text = printed(screen)
    assert text.count("failed (nan): [b]") == 1
    assert text.rindex("2/2") < text.rindex("last: done seed=1")


def test_a_table_stands_below_the_bar(screen: Console) -> None:
    with Terminal(screen) as view:
        view.show(0.5, "1/2 done", below="scvi  1/2\nscvi_mine  0/2")
        view._live.refresh()
    assert printed(screen).index("1/2 done") < printed(screen).index("scvi_mine  0/2")


@pytest.mark.parametrize(("quiet_s", "expected"), [(0.0, "1/9   epoch 3\n2/9\n"), (60.0, "")])
def test_signs_of_life_are_what_is_new_after_a_while(quiet_s: float, expected: str) -> None:
    stream = io.StringIO()
    lines = Lines(stream, quiet_s)
    for line, now in (("1/9", "epoch 3"), ("1/9", "epoch 3"), ("2/9", "")):
        lines.show(0.1, line, now)
    assert stream.getvalue() == expected
