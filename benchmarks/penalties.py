"""Put the tables that ``bie aggregate`` prints of a study into a page of the documentation.

    python -m bie.run -m version=final study=penalties dataset=zinb dataset.preset=strong
    python -m benchmarks.penalties outputs/final/penalties --write docs/penalties.md

Options that it does not know are those of ``bie aggregate``. What a penalty costs: benchmarks.whole.
"""

import argparse
import contextlib
import io
from pathlib import Path

from benchmarks.page import put
from bie import aggregate

METRICS = "ari,nmi,be,mi_ross,probe_f1,reconstruction"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree")
    parser.add_argument("--write", type=Path, help="page whose marked part the tables replace")
    parser.add_argument("--part", default="benchmarks.penalties", help="name of the marks of that part")
    arguments, more = parser.parse_known_args()
    text = printed([arguments.tree, "--metrics", METRICS, *more])
    print(text)
    if arguments.write:
        put(arguments.write, arguments.part, f"```\n{text}\n```")


def printed(argv: list[str]) -> str:
    """Tables without the names of files."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        code = aggregate.main(argv)
    if code == 2:
        raise SystemExit(code)
    out.seek(0)
    return "\n".join(line for line in out.read().splitlines() if not line.startswith("Written: ")).strip()


if __name__ == "__main__":
    main()
