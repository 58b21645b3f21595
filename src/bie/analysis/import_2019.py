"""Results of the 2019 study, whose runs left ``<Ds>_Sample<i>_ClusterMetric.csv``, as records of a tree.

A file holds one Monte Carlo sample: a row for each model and each part of the cells, with the columns
``Label``, ``asw``, ``nmi``, ``ari``, ``uca``, ``be``. Labels are ``sample<i>_Vae_<part>`` and
``sample<i>_VaeMine_<part>_Hidden<h>_layers<l>_MineLossScale<s>``, where the part is ``trainset`` or
``testset``.

Nothing is computed anew. The data sets get names of their own (``pbmc_2019``), as it is not known that their
cells are those of bie's; within each, models are paired by sample.
"""

import csv
import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bie.errors import BadInput
from bie.store.identity import config_id, run_id, sha256
from bie.store.paths import Tree
from bie.store.record import RECORD, read, write_failure, write_record

METRICS = ("asw", "nmi", "ari", "uca", "be")
ABSENT = "absent"
"""Cause of failure of a sample that a model has no numbers for: in 2019 it crashed, or its file is lost."""
MOST_SAMPLES = 10_000
TRAIN_FRACTION = 0.6
"""Of the study's Monte Carlo splits, which its files do not say."""

_FILE = re.compile(r"(?P<dataset>[A-Za-z0-9]+)_Sample(?P<sample>\d+)_ClusterMetric\.csv")
_LABEL = re.compile(
    r"sample(?P<sample>\d+)_Vae(?P<mine>Mine)?_(?P<part>train|test)set"
    r"(?:_Hidden(?P<n_hidden>\d+)_layers(?P<n_layers>\d+)_MineLossScale(?P<scale>\d+\.?\d*(?:[eE]\+?\d+)?))?"
)
_NOTES = {
    "cells": "read from files of the 2019 study, not computed here",
    "nmi": "over the geometric mean of the entropies, scikit-learn 0.20's default",
    "be": "of 50 samples of 100 cells, the 2019 study's way",
}

Setting = tuple[int, int, float] | None
"""``mine.n_hidden``, ``mine.n_layers`` and ``mine.scale``; None: plain scVI."""
Numbers = dict[str, float | None]


@dataclass
class _Run:
    """Numbers of a model on a sample, by part, and the files that they were in."""

    metrics: dict[str, Numbers] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)


_Found = dict[str, dict[Setting, dict[int, _Run]]]
"""Runs by name of the data set, setting and sample."""


def import_study(folders: Sequence[Path], tree: Tree) -> list[str]:
    """Write a record for each model and sample of the files in some folders, and say what was found.

    A sample for which another model, or another file between the first and the last sample, has numbers and
    this model has none is noted as failed. Records that are there already stay.

    Raises
    ------
    BadInput
        No such file in a folder or below it, or one that cannot be read, or numbers other than those of a
        record that is there; nothing was written.
    """
    runs = _read(folders)
    _check(runs, tree)
    lines = []
    for dataset, of_point in sorted(runs.items()):
        samples = {sample for found in of_point.values() for sample in found}
        expected = range(min(samples), max(samples) + 1)
        new = [_write(tree, dataset, setting, found, expected) for setting, found in of_point.items()]
        n = sum(map(len, of_point.values()))
        asked = f"{len(of_point)} models x samples {expected[0]} to {expected[-1]}"
        absent = len(of_point) * len(expected) - n
        lines.append(f"{dataset}: {asked}: {n:,} results, {absent:,} absent; {sum(new):,} records are new")
    return lines


def _read(folders: Sequence[Path]) -> _Found:
    found: _Found = defaultdict(lambda: defaultdict(dict))
    for path in (path for folder in folders for path in _paths(folder)):
        named = _FILE.fullmatch(path.name)
        assert named is not None
        sample = int(named["sample"])
        for setting, part, numbers in _rows(path, sample):
            run = found[f"{named['dataset'].lower()}_2019"][setting].setdefault(sample, _Run())
            if run.metrics.setdefault(part, numbers) != numbers:
                first = ", ".join(map(str, sorted(run.files - {path})))
                where = f"in {first} too, with other numbers" if first else "on two lines with other numbers"
                raise BadInput(f"{path}: {part} cells of a model are {where}")
            run.files.add(path)
    return found


def _paths(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*.csv") if _FILE.fullmatch(path.name))
    if not paths:
        raise BadInput(f"{folder} holds no file called <Dataset>_Sample<i>_ClusterMetric.csv")
    return paths


def _check(runs: _Found, tree: Tree) -> None:
    """Refuse what cannot be the samples of one study, and other numbers of what is recorded."""
    for dataset, of_point in runs.items():
        samples = {sample for found in of_point.values() for sample in found}
        if (n := max(samples) - min(samples)) >= MOST_SAMPLES:
            raise BadInput(f"{dataset}: samples {min(samples)} to {max(samples)}; {n:,} samples are no study")
        for setting, found in of_point.items():
            plain = _plain(dataset, setting)
            for sample, run in found.items():
                path = tree.run_dir(dataset, plain["model"]["name"], config_id(plain), sample) / RECORD
                known = (read(path) or {}).get("metrics")
                if known not in (None, _metrics(run)):
                    names = ", ".join(map(str, sorted(run.files)))
                    raise BadInput(f"{names}: other numbers than those of {path}, which stays until removed")


def _rows(path: Path, sample: int) -> Iterator[tuple[Setting, str, Numbers]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from None
    lines = list(csv.DictReader(text.splitlines()))
    if missing := [name for name in ("Label", *METRICS) if not lines or name not in lines[0]]:
        raise BadInput(f"{path} lacks the column {', '.join(missing)}" if lines else f"{path} is empty")
    if not text.endswith(("\n", "\r")):  # its last number may lack digits
        raise BadInput(f"{path} breaks off in its last line. If that is whole, end it with a newline")
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            raise BadInput(f"{path}, line {number}: not as many fields as there are columns")
        label = _LABEL.fullmatch((line["Label"] or "").strip())
        if label is None or int(label["sample"]) != sample or bool(label["mine"]) != bool(label["scale"]):
            raise BadInput(f"{path}, line {number}: {line['Label']} is no label of sample {sample}")
        setting = (
            (int(label["n_hidden"]), int(label["n_layers"]), float(label["scale"])) if label["mine"] else None
        )
        yield setting, label["part"], {name: _number(path, number, line[name]) for name in METRICS}


def _number(path: Path, line: int, text: str | None) -> float | None:
    """A number, None where the study had none (its ``nan``, an empty field)."""
    try:
        value = float(text or "nan")
    except ValueError:
        raise BadInput(f"{path}, line {line}: {text} is not a number") from None
    return value if math.isfinite(value) else None


def _write(
    tree: Tree, dataset: str, setting: Setting, runs: Mapping[int, _Run], expected: Sequence[int]
) -> int:
    """Write the runs of a model; how many of the records are new."""
    plain, new = _plain(dataset, setting), 0
    for sample in expected:
        ids = {
            "run_id": run_id(plain, sample),
            "config_id": config_id(plain),
            "split_id": sha256({"study": 2019, "dataset": dataset, "sample": sample}),
        }
        known = {"schema": 1, **ids, "seed": sample}
        folder = tree.run_dir(dataset, plain["model"]["name"], ids["config_id"], sample)
        if sample in runs:
            new += write_record(folder, known | _ending(plain, sample, runs[sample]), {})
        elif not (folder / "failed.json").exists():
            why = {"cause": ABSENT, "message": f"no numbers of sample {sample}", "traceback": ""}
            write_failure(folder, {**known, "status": "failed", **why})
    return new


def _plain(dataset: str, setting: Setting) -> dict[str, Any]:
    """What is known of the configuration."""
    content = sha256({"study": 2019, "dataset": dataset})
    plain: dict[str, Any] = {
        "dataset": {"name": dataset, "sha256": content},
        "split": {"train_fraction": TRAIN_FRACTION},
        "model": {"name": "scvi_mine" if setting else "scvi"},
    }
    if setting:
        plain["mine"] = dict(zip(("n_hidden", "n_layers", "scale"), setting, strict=True))
    return plain


def _metrics(run: _Run) -> dict[str, Numbers]:
    return {part: run.metrics.get(part, dict.fromkeys(METRICS)) for part in ("train", "test")}


def _ending(plain: Mapping[str, Any], sample: int, run: _Run) -> dict[str, Any]:
    """The part of a record that says what came out, and whence it is known."""
    metrics = _metrics(run)
    files = sorted(run.files)
    missing = {
        f"{part}.{name}": f"no number in {', '.join(path.name for path in files)}"
        for part, values in metrics.items()
        for name, value in values.items()
        if value is None
    }
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {
        "status": "done",
        "config": {**plain, "seed": sample},
        "metrics": metrics,
        "missing": missing,
        "notes": _NOTES,
        "history_tail": {},
        "timing": {},
        "provenance": {
            "imported_from": [str(path) for path in files],
            "sha256": digests,
            "git_commit": None,
            "source_sha256": None,
            "packages": {},
        },
    }
