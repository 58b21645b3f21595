"""Every command of the README and of docs/ can be typed: its verb, its flags, its keys and values exist."""

import argparse
import contextlib
import importlib
import io
from functools import cache
from pathlib import Path

import pytest

from bie.cli import VERBS
from bie.errors import BadInput
from bie.planning.application import _options, configurations_of
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.hydra_keys import for_bie
from bie.store.provenance import configuration_folder
from tests.docs.commands import ROOT, Command, commands

FOUND = list(commands())
OVERRIDES = ("run", "plan")


@cache
def configurations() -> Configurations:
    return Configurations(configuration_folder())


def refused(command: Command) -> str | None:
    """Why a command would end with exit code 2; None if it would not."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            check(command)
        except (BadInput, ModuleNotFoundError, AttributeError) as error:
            return str(error)
        except SystemExit as ended:
            return said.getvalue() if ended.code else None
    return None


def check(command: Command) -> None:
    if command.program in OVERRIDES:
        check_overrides(command)
    elif command.program in VERBS:
        check_verb(command)
    else:
        check_program(command)


class _Parsed(BaseException):
    """A verb has understood its command line."""


def check_verb(command: Command) -> None:
    """Of the other verbs: as far as the arguments are read."""

    def stop(parser: argparse.ArgumentParser, typed: list[str]) -> None:
        _, left = parser.parse_known_args(typed)
        if left:
            parser.error(f"unrecognized arguments: {left}")
        raise _Parsed

    module = "bie.data.__main__" if command.program == "data" else f"bie.{command.program}"
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(_Parsed):
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(argparse.ArgumentParser, "parse_intermixed_args", stop)
        importlib.import_module(module).main(command.words)
        raise AssertionError(f"{module}.main has read no arguments")


def check_overrides(command: Command) -> None:
    """Of ``run`` and ``plan``: what they stand for is expanded and checked, cells are not read."""
    if {"-h", "--help", "--hydra-help", "-sc", "--version"} & set(command.words):
        return
    words = [word for word in command.words if word not in ("--json", "--power")]
    options = _options(words)
    expansion = expand(
        for_bie(options.overrides), configurations_of(options) if options.config_dir else configurations()
    )
    if command.program == "run" and expansion.swept and not options.multirun:
        raise BadInput("a sweep without -m")


def check_program(command: Command) -> None:
    """Of other programs: the file is there and knows the flags."""
    file = Path(command.program.replace(".", "/") + ".py" if "/" not in command.program else command.program)
    if not (ROOT / file).is_file():
        raise BadInput(f"there is no {file}")
    beside = (ROOT / file).parent.glob("**/*.py") if file.parent.name == "slurm" else [ROOT / file]
    text = "".join(path.read_text() for path in [ROOT / file, *beside])
    for word in command.words:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag not in text and flag != "--help":
            raise BadInput(f"{file} has no {flag}")


def test_commands_are_found():
    """Otherwise the tests below would prove nothing."""
    assert {command.program for command in FOUND} >= {"run", "plan", "status", "aggregate", "data", "retry"}
    assert len(FOUND) > 80


@pytest.mark.parametrize("page", sorted({command.page for command in FOUND}))
def test_every_command_of_a_page_can_be_typed(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    wrong = {str(each): why for each in FOUND if each.page == page and (why := refused(each))}
    assert not wrong


@pytest.mark.parametrize(
    "typed",
    [
        Command("a page", "run", ["mine.scal=1"]),
        Command("a page", "run", ["seed=0,1"]),
        Command("a page", "plan", ["model=scvi_mime"]),
        Command("a page", "status", ["--wach"]),
        Command("a page", "aggregat", []),
        Command("a page", "benchmarks.gone", []),
        Command("a page", "scripts/lockfile", ["--gone"]),
    ],
    ids=str,
)
def test_a_stale_command_is_noticed(typed):
    assert refused(typed)
