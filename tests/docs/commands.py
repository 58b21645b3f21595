"""Command lines in the README and in docs/, as a reader would type them."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^(?:```|    )(?!`)", re.M)
_VERB = re.compile(r"^(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/)?(?:bie|python -m bie\.(?=\w)) *(\w+)(.*)$")
_PROGRAM = re.compile(
    r"^(?:\.venv/bin/)?(?:python -m (benchmarks\.\w+)|python (benchmarks/\w+\.py|docs/\S+\.py)"
    r"|((?:scripts|slurm|\.ci)/\w+)(?=\s|$))(.*)$"
)

PLACEHOLDERS = {
    "...": None,
    "…": None,
    "OVERRIDES": None,
    "site=YOURS": "site=template",
    "FOLDER": None,
    "~/bie": "slurm/cluster",
}
"""What stands for the reader's own words, and what a check puts there (None: nothing)."""

EXAMPLES = "docs/examples/add.py"
"""After this command a block speaks of a checkout with the examples: test_examples.py runs them."""


class Command(NamedTuple):
    """A verb of bie with its words, or another program of the repository with its own."""

    page: str
    program: str
    words: list[str]

    def __str__(self) -> str:
        return f"{self.page}: {self.program} {' '.join(self.words)}"


def commands() -> Iterator[Command]:
    """Every command of every page, in the order in which they stand there."""
    for page in PAGES:
        for line in _lines(page.read_text()):
            found = _VERB.match(line) or _PROGRAM.match(line)
            if found:
                *names, rest = found.groups()
                program = next(name for name in names if name)
                for words in _words(rest):
                    yield Command(str(page.relative_to(ROOT)), program, words)


def _lines(text: str) -> Iterator[str]:
    """Lines of code blocks, continued ones as one, and code within sentences."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```$", text, re.M | re.S)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    blocks.append("\n".join(line[4:] for line in prose.splitlines() if line.startswith("    ")))
    for block in blocks:
        for line in takewhile(lambda line: EXAMPLES not in line, block.replace("\\\n", " ").splitlines()):
            yield from (part.strip() for part in re.split(r" (?:&&|\|\||>) ", line))
    for code in re.findall(r"`([^`]+)`", prose.replace("\n", " ")):
        yield " ".join(re.split(r" (?:&&|\|\||>) ", code)[0].split())


def _words(rest: str) -> Iterator[list[str]]:
    """Words without what is optional, ``[--watch]``, and with each of these."""
    optional = re.findall(r"(?<= )\[(-[^\]]*)\]", rest)
    kept = re.sub(r" \[-[^\]]*\]", "", rest)
    for typed in (kept, *(f"{kept} {option}" for option in optional)):
        words = [PLACEHOLDERS.get(word, word) for word in shlex.split(typed, comments=True)]
        yield [word for word in words if word is not None and not word.endswith(("=...", "=…"))]
