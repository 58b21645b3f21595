"""The verb ``bie data``: lists data sets, downloads them, checks a user's file."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bie.errors import BadInput, guarded

_EPILOG = """\
without a command: list the data sets

  bie data
  bie data fetch pbmc --to DIR      on a machine with network; then: dataset=pbmc dataset.cache=DIR
  bie data describe atlas.h5ad      what it holds, and the command line that fits it
"""


def main(argv: list[str] | None = None) -> int:
    """Run the verb with these arguments (None: those of the process) and return the exit code."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _print(arguments))


def _print(arguments: argparse.Namespace) -> int:
    for line in _lines(arguments):
        print(line, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie data",
        description="Data sets: list, download, check.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    fetch = commands.add_parser(
        "fetch", help="download a data set, with checksum; continues where it stopped"
    )
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument("--to", metavar="DIR", type=Path, help="folder (default: the user's cache folder)")
    describe = commands.add_parser("describe", help="check an .h5ad file of yours")
    describe.add_argument("path", metavar="PATH", type=Path)
    return parser


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    """What to print; the imports wait until here so that ``--help`` is quick."""
    if arguments.command == "describe":
        from bie.data.describe import describe

        return describe(arguments.path)
    if arguments.command == "fetch":
        return _fetch(arguments.name, arguments.to)
    return _list()


def _fetch(name: str, to: Path | None) -> Iterator[str]:
    from bie.data import download
    from bie.data.card import cards

    remote = {card.name: card.files for card in cards().values() if card.files}
    if name not in remote:
        raise BadInput(f"{name} is no data set to download. There are: {', '.join(remote)}")
    folder = download.cache_folder(name, to)
    wanted = download.missing(remote[name], folder)
    yield f"{name}: {download.volume(wanted)} to download to {folder}" if wanted else f"{name} is in {folder}"
    download.fetch(name, remote[name], folder)
    chosen = f" dataset.cache={folder.resolve()}" if to else ""
    yield f"to use it: dataset={name}{chosen}"


def _list() -> Iterator[str]:
    from bie.data import download
    from bie.data.card import cards

    yield f"{'name':<8} {'cells x genes':<16} {'batches':<10} {'types':<6} what"
    for card in cards().values():
        yield f"{card.name:<8} {card.size:<16} {card.batches:<10} {card.types:<6} {card.about}"
        if card.files:
            folder = download.cache_folder(card.name, None)
            wanted = download.missing(card.files, folder)
            state = f"not downloaded ({download.volume(wanted)}): bie data fetch {card.name}"
            yield f"{'':<43} {state if wanted else f'downloaded: {folder}'}"


if __name__ == "__main__":
    sys.exit(main())
