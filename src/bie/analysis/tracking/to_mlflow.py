"""Runs of a study in a store of MLflow: ``report/mlflow/mlflow.db``, their files beside it.

MLflow 3 keeps runs in SQLite; its older store of plain files is in maintenance and refused by default.
"""

import contextlib
import logging
import os
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bie.analysis.tracking.runs import Number, TrackedRun
from bie.errors import BadInput

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

FOLDER, STORE = "mlflow", "mlflow.db"
AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}
"""What MLflow takes in one call."""
_KEY, _CONTENT = "bie.run", "bie.content"
_MISSING = "--mlflow: MLflow is not installed: pip install mlflow-skinny sqlalchemy alembic"


def check() -> None:
    """Load MLflow, which says nothing to anybody over a network.

    Raises
    ------
    BadInput
        It is not installed.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when it is loaded
    try:
        with _quiet():
            import alembic  # noqa: F401
            import mlflow  # noqa: F401
            import sqlalchemy  # noqa: F401
    except ImportError:
        raise BadInput(_MISSING) from None
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)


def then(store: Path) -> str:
    """What to do with what `export` wrote."""
    return f"To look at them: mlflow ui --backend-store-uri {shlex.quote(_address(store))}"


def _address(store: Path) -> str:
    """A path as MLflow and SQLAlchemy take it, whatever characters are in it."""
    return f"sqlite:///{quote(str(store))}"


def export(runs: Iterable[TrackedRun], study: str, report: Path) -> tuple[Path, int, int]:
    """Add the runs that are not there; one that was done again takes the place of the earlier.

    Parameters
    ----------
    study
        Name of the experiment.
    report
        Folder in which `FOLDER` is made.

    Returns
    -------
    tuple
        The store, how many runs were added, how many were there already.

    Raises
    ------
    BadInput
        The store cannot be read or written.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    folder = (report / FOLDER).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _quiet():
            return folder / STORE, *_add(runs, study, folder)
    except (MlflowException, SQLAlchemyError) as error:
        said = " ".join(str(error).split())[:300]
        raise BadInput(f"{folder / STORE}: MLflow says: {said}. To make it anew, remove {folder}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings over MLflow's own use of SQLAlchemy, which are not for its users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _add(runs: Iterable[TrackedRun], study: str, folder: Path) -> tuple[int, int]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=_address(folder / STORE))
    experiment = _experiment(client, study, folder)
    known, added, there = _known(client, experiment), 0, 0
    for run in runs:
        before = known.get(run.key, [])
        if [content for _, content in before] == [run.content]:
            there += 1
            continue
        for name, _ in before:
            client.delete_run(name)
        _add_run(client, experiment, run)
        added += 1
    return added, there


def _experiment(client: "MlflowClient", study: str, folder: Path) -> str:
    found = client.get_experiment_by_name(study)
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(study, artifact_location=(folder / "artifacts").as_uri()))


def _known(client: "MlflowClient", experiment: str) -> dict[str, list[tuple[str, str | None]]]:
    """Name in MLflow and content of what is there, by key; an export that was cut short has no content."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    token = None
    while token != "":
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        for run in page:
            content = run.data.tags.get(_CONTENT) if run.info.status in ("FINISHED", "FAILED") else None
            found.setdefault(run.data.tags.get(_KEY, ""), []).append((run.info.run_id, content))
        token = page.token or ""
    return found


def _add_run(client: "MlflowClient", experiment: str, run: TrackedRun) -> None:
    """Everything of a run, that it has ended last."""
    from mlflow.entities import Param, RunTag

    begun, ended = int(1000 * (run.ended - run.seconds)), int(1000 * run.ended)
    names = {_KEY: run.key, _CONTENT: run.content}
    name = client.create_run(experiment, start_time=begun, tags=names, run_name=run.name).info.run_id
    metrics = [*_metrics(run.metrics, max(run.history, default=0), ended)]
    for epoch, numbers in run.history.items():
        metrics += _metrics(numbers, epoch, ended)
    _log(client, name, "params", [Param(key, _text(value)) for key, value in run.settings.items()])
    _log(client, name, "tags", [RunTag(f"bie.{key}", _text(value)) for key, value in run.origin.items()])
    _log(client, name, "metrics", metrics)
    for path in run.files:
        client.log_artifact(name, str(path))
    client.set_terminated(name, "FAILED" if run.failed else "FINISHED", ended)


def _metrics(numbers: Mapping[str, Number], step: int, time: int) -> "Iterator[Metric]":
    from mlflow.entities import Metric

    for key, value in numbers.items():
        yield Metric(key, float(value), time, step)


def _text(value: Any, longest: int = 5000) -> str:
    """A setting as one would type it; MLflow takes 6,000 characters of it."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _log(client: "MlflowClient", run: str, kind: str, items: Sequence[Any]) -> None:
    for start in range(0, len(items), AT_ONCE[kind]):
        client.log_batch(run, **{kind: items[start : start + AT_ONCE[kind]]})
