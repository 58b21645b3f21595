"""One record, or one failure, as a row of the index."""

import os
from collections.abc import Mapping
from typing import Any

import orjson

from bie.analysis.caveats import take_apart
from bie.analysis.grid import flat, place
from bie.store.identity import SHOWN

SPLITS = ("train", "test")
SCHEMA = 1
UNREADABLE = "unreadable"  # state of a run whose record is none
UNKNOWN = "unknown"  # cause of a failure whose file does not tell
LONGEST = 2_000  # characters of a message that are kept

NUMBERS = (*SPLITS, "timing")
"""Parts of a row that hold numbers by name."""

Row = dict[str, Any]
_KINDS = {float, int, type(None)}


class Parser:
    """Reads files to rows; texts that many records share are held once."""

    def __init__(self) -> None:
        self._configs: dict[str, str] = {}
        self._packages: dict[bytes, str] = {}
        self._types: dict[tuple[Any, ...], str] = {}

    def record(self, path: str) -> Row:
        """Row of a finished run; in the state ``unreadable`` where it is none, or one of another schema."""
        try:
            record = orjson.loads(_content(path))
            if record.get("schema", SCHEMA) != SCHEMA:
                return _of_path(path, UNREADABLE, f"schema {record['schema']}, not {SCHEMA}"[:LONGEST])
            return self._row(record)
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            return _of_path(path, UNREADABLE, "")

    def failure(self, path: str) -> Row:
        """Row of a failed run."""
        try:
            content = orjson.loads(_content(path))
            found = content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            found = {}
        row = _of_path(path, "failed", str(found.get("cause", UNKNOWN))[:LONGEST])
        return row | {"message": str(found.get("message", ""))[:LONGEST]}

    def _row(self, record: Mapping[str, Any]) -> Row:
        config, origin = record["config"], record["provenance"]
        config_id = str(record["config_id"])
        if config_id not in self._configs:
            known = flat(config) | place(origin.get("dataset") or {})
            self._configs[config_id] = orjson.dumps(known).decode()
        missing, (notes, numbers) = record.get("missing"), take_apart(record.get("notes") or {})
        types, ratios = self._by_type(record.get("ot_ratio_by_type") or {})
        return {
            "state": "done",
            "config_id": config_id,
            "dataset": str(config["dataset"]["name"]),
            "model": str(config["model"]["name"]),
            "seed": _seed(record["seed"]),
            "run_id": str(record["run_id"]),
            "split_id": str(record["split_id"]),
            "code": code_version(origin),
            "packages": self._versions(origin),
            "missing": orjson.dumps(missing).decode() if missing else None,
            "notes": orjson.dumps(notes).decode() if notes else None,
            "notes_numbers": " ".join(numbers),
            "types": types,
            "ratios": ratios,
            "config": self._configs[config_id],
            "device": str((origin.get("device") or {}).get("type", "")),
            **{split: _numbers(record["metrics"][split]) for split in SPLITS},
            "timing": _numbers(record.get("timing") or {}),
        }

    def _by_type(self, by_type: Mapping[str, Mapping[str, Any]]) -> tuple[str | None, list[float]]:
        """Splits and cell types, as JSON, and the number of each; None and none where there is none."""
        names = tuple((split, *ratios) for split, ratios in by_type.items() if ratios)
        if names not in self._types:
            self._types[names] = orjson.dumps([(split, name) for split, *of in names for name in of]).decode()
        numbers = [ratio for ratios in by_type.values() for ratio in ratios.values()]
        if not set(map(type, numbers)) <= {float}:
            raise TypeError("not numbers")
        return (self._types[names], numbers) if numbers else (None, [])

    def _versions(self, origin: Mapping[str, Any]) -> str:
        """Versions of Python and the packages, sorted by name, as JSON."""
        python, packages = origin.get("python"), origin.get("packages", {})
        key = orjson.dumps([python, packages])
        if key not in self._packages:
            versions = {"python": python, **packages}
            self._packages[key] = orjson.dumps(versions, option=orjson.OPT_SORT_KEYS).decode()
        return self._packages[key]


def _content(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)  # 100,000 times: a file object takes longer than its content
    try:
        size = os.fstat(handle).st_size
        content = os.read(handle, size + 1)
        while len(content) != size and (part := os.read(handle, size + 1)):  # a signal, or a file that grew
            content += part
    finally:
        os.close(handle)
    return content


def _numbers(part: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = set(map(type, part.values()))
    if not kinds <= _KINDS:
        raise TypeError("not numbers")
    if int in kinds:  # one of more than 53 bits is no float for Arrow
        return {name: value if value is None else float(value) for name, value in part.items()}
    return part


def _seed(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**32:
        raise ValueError("not a seed")
    return value


def code_version(origin: Mapping[str, Any]) -> str:
    """Short name of the code behind a record: the hash of its source, whatever else was committed.

    >>> code_version({"git_commit": "3f2a1b9c5d", "source_sha256": "0dd1e2f3a4b5c6"})
    '0dd1e2f3a4b5'
    """
    return (origin.get("source_sha256") or origin.get("git_commit") or "unknown")[:SHOWN]


def _of_path(path: str, state: str, cause: str) -> Row:
    """Row of a run of which only the place in the tree is known; its ``config_id`` is the short one."""
    dataset, model, config, seed = path.split("/")[-5:-1]
    return {
        "state": state,
        "cause": cause,
        "config_id": config,
        "dataset": dataset,
        "model": model,
        "seed": int(seed.removeprefix("seed=")),
    }
