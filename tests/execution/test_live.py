"""What stands on a terminal while a launch or a study gets on, and what a log file gets."""

import io

import pytest
from rich.console import Console

from bie.execution.live import Lines, Terminal


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
