"""``bie <verb>``: the same as ``python -m bie.<verb>``."""

import importlib
import os
import sys
from collections.abc import Sequence

from bie.errors import guarded
from bie.planning.help import ABOUT

VERBS = {
    "run": "one experiment, or with -m a sweep",
    "plan": "what that sweep would do, without doing it",
    "status": "done, running, queued, failed runs of a study",
    "logs": "the log of a run; --failed: all failures by cause",
    "retry": "run failed and missing runs again",
    "cancel": "stop what is queued or running of a study",
    "aggregate": "records -> tables",
    "report": "records -> one HTML page, with figures for papers beside it",
    "embed": "latent vectors of cells in a file, by the model of a finished run",
    "data": "list, download and check datasets",
    "reproduce": "run a record again and compare every number",
    "doctor": "check this installation, this machine, its Slurm and its disk",
}
HELP = ("-h", "--help")
COMPLETION = ("-sc", "--shell-completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Dispatch to a verb's own ``main``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        from bie import __version__

        print(f"bie {__version__}")
        return 0
    if arguments[:1] and arguments[0] in COMPLETION:  # what bash runs is the first word of the line
        return _complete(arguments)
    if arguments and arguments[0] in VERBS:
        module = importlib.import_module(
            "bie.data.__main__" if arguments[0] == "data" else f"bie.{arguments[0]}"
        )
        result: int = module.main(arguments[1:])
        return result
    return guarded(lambda: _show_usage(arguments))


def _complete(arguments: list[str]) -> int:
    """Complete a verb here, and what follows ``run`` or ``plan`` as Hydra does."""
    words = os.environ.get("COMP_LINE", "bie run ").split(" ")
    if len(words) > 2 and words[1] in ("run", "plan"):
        return int(importlib.import_module("bie.run").main(arguments))
    print(" ".join(verb for verb in VERBS if len(words) == 2 and verb.startswith(words[1])))
    return 0


def _show_usage(arguments: list[str]) -> int:
    verbs = "\n".join(f"  {verb:<10} {what}" for verb, what in VERBS.items())
    usage = f"usage: bie VERB ...    (bie VERB --help says more)\n\n{ABOUT}\n\n{verbs}"
    if not arguments or arguments[0] in HELP:
        print(usage)
        return 0
    print(f"bie has no verb {arguments[0]!r}.\n{usage}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
