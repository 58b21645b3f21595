"""Training speed on one thread of a CPU, ours beside that of scvi-tools.

    python -m benchmarks.cpu --peer-python ENVIRONMENT/bin/python [--rounds 7] [--write]

Every contender is a process of its own. They take turns, an epoch each, so that a machine that slows down
slows all of them; what is printed is the median over the rounds of the ratio within a round, and its range.
``--write`` puts the table into docs/performance.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import counts_like_pbmc
from benchmarks.page import DOCS, processor, put

FOLDER = Path(__file__).parent

PEER, PLAIN = "scvi-tools", "bie"
OURS = {
    "bie, torch alone": ("torch",),
    "bie": ("",),
    "bie + MINE": ("", "model=scvi_mine"),
    "bie + MMD": ("", "model=scvi_mmd"),
    "bie + adversary": ("", "model=adversarial"),
    "bie, modelled library": ("", "model.library=modelled"),
}
"""BIE_KERNELS in the environment, then overrides."""


@dataclass
class Contender:
    """A process that trains an epoch when it is asked to."""

    name: str
    process: subprocess.Popen[str]
    version: str = ""

    def epoch(self) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.version = answer.pop("version")
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, default=os.environ.get("BIE_ORACLE_PYTHON"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.peer_python is None:
        parser.error(
            "--peer-python (or BIE_ORACLE_PYTHON): the interpreter of an environment with scvi-tools"
        )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "counts.h5ad"
        counts_like_pbmc.write(data)
        contenders = [
            stack.enter_context(started(name, [*command, str(data), *overrides], kernels))
            for name, command, kernels, overrides in entrants(arguments.peer_python)
        ]
        text = report(contenders, measure(contenders, arguments.rounds))
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.cpu", text)


def entrants(peer_python: Path) -> Iterator[tuple[str, list[str], str, list[str]]]:
    """Name, command, BIE_KERNELS, overrides."""
    program = str(FOLDER / "contender.py")
    yield PEER, [str(peer_python), program, "scvi-tools"], "", []
    for name, (kernels, *overrides) in OURS.items():
        yield name, [sys.executable, program, "bie"], kernels, overrides


@contextmanager
def started(name: str, command: list[str], kernels: str) -> Iterator[Contender]:
    environment = {**os.environ, "BIE_KERNELS": kernels}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield Contender(name, process)
        process.kill()


def measure(contenders: list[Contender], rounds: int) -> list[dict[str, dict[str, float]]]:
    """Seconds of each contender in each round, after an epoch each that does not count."""
    times = []
    for number in range(rounds + 1):
        times.append({contender.name: contender.epoch() for contender in contenders})
        print(
            number, {name: round(t["cpu"], 3) for name, t in times[-1].items()}, file=sys.stderr, flush=True
        )
    return times[1:]


def report(contenders: list[Contender], times: list[dict[str, dict[str, float]]]) -> str:
    """Markdown: the table, and where it was measured."""
    rows = [
        "| | s per epoch (wall) | s (CPU) | times scvi-tools, by wall (range) | by CPU time (range) "
        "| CPU time of bie's scVI (range) |"
    ]
    rows.append("|---|---|---|---|---|---|")
    for contender in contenders:
        of = [t[contender.name] for t in times]
        seconds = [f"{median(t[clock] for t in of):.2f}" for clock in ("wall", "cpu")]
        ratios = [spread([t[PEER][c] / t[contender.name][c] for t in times]) for c in ("wall", "cpu")]
        cost = spread([t[contender.name]["cpu"] / t[PLAIN]["cpu"] for t in times])
        rows.append(f"| {' | '.join([contender.name, *seconds, *ratios, cost])} |")
    versions = "; ".join(dict.fromkeys(contender.version for contender in contenders))
    load = os.getloadavg()[0]
    where = f"{date.today()}, {processor()}, load {load:.1f}, {len(times)} rounds. {versions}."
    return "\n".join([*rows, "", where])


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


if __name__ == "__main__":
    main()
