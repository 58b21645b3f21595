"""Runs of a study in the offline form of Weights & Biases: ``report/wandb/``, for ``wandb sync``."""

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.tracking.runs import TrackedRun
from bie.errors import BadInput

if TYPE_CHECKING:
    import wandb

FOLDER = "wandb"
_PART = ".wandb"
"""Beside `FOLDER`: runs that are being written."""
_MISSING = "--wandb: wandb is not installed: pip install wandb"


def check() -> None:
    """Load wandb.

    Raises
    ------
    BadInput
        It is not installed.
    """
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # to its makers, read when it is loaded
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise BadInput(_MISSING) from None


def then(folder: Path) -> str:
    """What to do with what `export` wrote."""
    return f"To send them: cd {shlex.quote(str(folder.parent))} && wandb sync"


def export(runs: Iterable[TrackedRun], study: str, report: Path) -> tuple[Path, int, int]:
    """Add the runs of a project: folder, added, there already; see `bie.analysis.tracking.to_mlflow.export`.

    Raises
    ------
    BadInput
        wandb cannot write.
    """
    import wandb

    folder, part = report / FOLDER, report / _PART
    folder.mkdir(parents=True, exist_ok=True)
    known = {path.name.partition("-run-")[2].partition("-")[2]: path for path in folder.glob("offline-run-*")}
    added = there = 0
    try:
        for run in runs:
            name = f"{run.key}-{run.content[:8]}"
            if name in known:
                there += 1
                continue
            for earlier in (path for other, path in known.items() if other.startswith(f"{run.key}-")):
                shutil.rmtree(earlier, ignore_errors=True)
            written = _write(run, name, study, part)
            written.rename(folder / written.name)  # whole, or not there
            added += 1
    except wandb.Error as error:
        raise BadInput(f"{folder}: wandb says: {' '.join(str(error).split())[:300]}") from None
    finally:
        wandb.teardown()
        shutil.rmtree(part, ignore_errors=True)
    return folder, added, there


def _write(run: TrackedRun, name: str, study: str, part: Path) -> Path:
    """Write one run; its folder."""
    import wandb

    part.mkdir(parents=True, exist_ok=True)
    open_run = wandb.init(
        project=study,
        id=name,
        name=run.name,
        group=run.key.rpartition("-")[0],
        job_type=str(run.origin["model"]),
        config=_nested(run.settings) | {"bie": _nested(run.origin) | _times(run)},
        settings=_settings(run, part),
    )
    for epoch, numbers in run.history.items():
        open_run.log(dict(numbers), step=epoch)
    open_run.summary.update(dict(run.metrics))
    for path in run.files:
        shutil.copy(path, open_run.dir)
        open_run.save(str(Path(open_run.dir) / path.name), base_path=open_run.dir, policy="now")
    folder = Path(open_run.dir).parent
    open_run.finish(exit_code=int(run.failed))
    for own in ("logs", "tmp"):  # of wandb, about this copying
        shutil.rmtree(folder / own, ignore_errors=True)
    return folder


def _times(run: TrackedRun) -> dict[str, Any]:
    """When a run ended and how long it took: wandb dates it by this copy."""
    return {"ended": datetime.fromtimestamp(run.ended, UTC).isoformat(), "seconds": run.seconds}


def _settings(run: TrackedRun, part: Path) -> "wandb.Settings":
    """Nothing over a network, nothing about this machine and this process, which only copy."""
    import wandb

    return wandb.Settings(
        mode="offline",
        root_dir=str(part.resolve()),
        host=str(run.origin.get("provenance.host") or ""),
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        x_save_requirements=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
    )


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of dotted names, as W&B shows them.

    >>> _nested({"mine.scale": 10, "seed": 0})
    {'mine': {'scale': 10}, 'seed': 0}
    """
    found: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, leaf = key.split(".")
        node = found
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = value
    return found
