"""Names of the folders and files of the output tree."""

import contextlib
import os
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bie.errors import BadInput
from bie.store.identity import SHOWN


@dataclass(frozen=True)
class Tree:
    """One study: ``outputs/<version>/<study>``."""

    root: Path

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.root / "runs"

    @property
    def launches(self) -> Path:
        """Folder of the launches: plan, command line, source and logs of each."""
        return self.root / "launches"

    @property
    def report(self) -> Path:
        """Folder of tables and figures."""
        return self.root / "report"

    @property
    def prepared(self) -> Path:
        """Prepared datasets by content, shared by the studies of a version."""
        return self.root.parent / ".cells"

    def config_dir(self, dataset: str, model: str, config_id: str) -> Path:
        """Folder of the seeds of one grid point."""
        return self.runs / dataset / model / config_id[:SHOWN]

    def config_names(self, dataset: str, model: str) -> frozenset[str]:
        """Beginnings of the ``config_id`` of the grid points of a model that have a folder."""
        with contextlib.suppress(FileNotFoundError):
            return frozenset(os.listdir(self.runs / dataset / model))  # noqa: PTH208 - names alone
        return frozenset()

    def run_dir(self, dataset: str, model: str, config_id: str, seed: int) -> Path:
        """Folder of one run."""
        return self.config_dir(dataset, model, config_id) / seed_name(seed)


def seed_name(seed: int) -> str:
    """Folder name of a seed.

    >>> seed_name(7)
    'seed=0007'
    """
    return f"seed={seed:04d}"


def find_tree(given: Path | None, outputs: Path = Path("outputs")) -> Tree:
    """Tree that the user named, or the study under `outputs` that was launched last.

    Raises
    ------
    BadInput
        No such tree, or none at all.
    """
    if given is not None:
        if not (given / "runs").is_dir() and not (given / "launches").is_dir():
            inside = Path(str(given).removeprefix("outputs="))  # as `bie run` was told
            known = _known(inside if any(inside.glob("*/*/launches")) else outputs, given.name)
            raise BadInput(f"{given} is not a study: it has neither runs/ nor launches/.{known}")
        return Tree(given)
    launched = [(path.stat().st_mtime_ns, path.parent) for path in outputs.glob("*/*/launches")]
    if not launched:
        raise BadInput(f"no study in {outputs}/ yet. Make one: python -m bie.run -m study=quickstart")
    return Tree(max(launched)[1])


def studies_beside(tree: Tree) -> list[Tree]:
    """Studies of the same version that have runs: the tree itself first, then those launched last."""
    others = [path.parent for path in tree.root.parent.glob("*/runs") if path.parent != tree.root]
    newest = sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [Tree(path) for path in (tree.root, *newest) if (path / "runs").is_dir()]


def spelled(tree: Tree, given: Path | None, outputs: Path) -> str:
    """How commands to be copied name a tree, for the shell; empty where they find it without a name.

    Parameters
    ----------
    given, outputs
        What `find_tree` found it by.

    >>> spelled(Tree(Path("my data/v1/adhoc")), None, Path("my data"))
    "'my data/v1/adhoc'"
    """
    return "" if given is None and outputs == Path("outputs") else shlex.quote(str(tree.root))


def _known(outputs: Path, name: str) -> str:
    """Sentences that name the study called most like `name`, if one is, and all that there are."""
    studies = sorted(path.parent for path in outputs.glob("*/*/launches"))
    if not studies:
        return f" There is no study in {outputs}/."
    near = get_close_matches(name.lower(), [study.name.lower() for study in studies], n=1)
    meant = next((f" Did you mean {study}?" for study in studies if [study.name.lower()] == near), "")
    return f"{meant} Studies here: {', '.join(map(str, studies))}"
