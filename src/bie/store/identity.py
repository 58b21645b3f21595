"""What makes two runs the same run.

Everything is the SHA-256 of canonical JSON: keys sorted, no white space, types as the schema coerces
them (``1e3`` and ``1000`` are the same number). Users see the first `SHOWN` hex digits, files hold all.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from bie.config import RunConfig
    from bie.schema import Section

SHOWN = 12
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values.

    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'
    """
    return _CANONICAL.encode(value)


def sha256(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def scientific(
    config: "RunConfig",
    hashes: Mapping[str, str],
    read: "Callable[[Section], dict[str, Any]] | None" = None,
) -> dict[str, Any]:
    """The experiment as plain values, seed included: what `record.json` holds as ``config``.

    Where the dataset lay and what is saved are not part of it; its content is, as `hashes`
    (`bie.data.cells.Cells.hashes`). For `read` see `bie.schema.Section.scientific`.
    """
    plain = config.scientific(read)
    return plain | {"dataset": {**plain["dataset"], **hashes}}


Given = TypeVar("Given")
Found = TypeVar("Found")


class Once(Generic[Given, Found]):
    """A function of objects, called once for each; for those that many configurations share.

    They are told apart by `id`, which is nobody else's as long as they are kept here.
    """

    def __init__(self, function: Callable[[Given], Found]) -> None:
        self._function = function
        self._known: dict[int, tuple[Given, Found]] = {}

    def __call__(self, given: Given) -> Found:
        """What the function makes of it."""
        if id(given) not in self._known:
            self._known[id(given)] = given, self._function(given)
        return self._known[id(given)][1]


class Identities:
    """Identities of configurations, of whose sections each is written once, however many share it."""

    def __init__(self) -> None:
        self._text = Once[dict[str, Any], str](canonical)
        self._of_dataset = Once[dict[str, Any], str](lambda dataset: canonical(_counted(dataset)))

    def config_id(self, plain: Mapping[str, Any]) -> str:
        """Identity of a grid point: the scientific config without its seed."""
        return self._hash({key: value for key, value in plain.items() if key != "seed"})

    def run_id(self, plain: Mapping[str, Any], seed: int) -> str:
        """Identity of one run: the scientific config with the seed."""
        return self._hash({**plain, "seed": seed})

    def _hash(self, plain: Mapping[str, Any]) -> str:
        """Do what `sha256` does."""
        text = ",".join(f'"{key}":{self._written(key, plain[key])}' for key in sorted(plain))
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()

    def _written(self, key: str, value: Any) -> str:
        if not isinstance(value, dict):
            return canonical(value)
        return self._of_dataset(value) if key == "dataset" else self._text(value)


def _counted(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a data set tells experiments apart: its name does not, its content does.

    It did while a dataset had one hash alone: what such a launch has left to do belongs beside its records.
    """
    if "unlabelled_sha256" not in dataset:
        return dataset
    return {key: value for key, value in dataset.items() if key != "name"}


def config_id(plain: Mapping[str, Any]) -> str:
    """Identity of a grid point: the scientific config without its seed."""
    return Identities().config_id(plain)


def run_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of one run: the scientific config with the seed."""
    return Identities().run_id(plain, seed)


def split_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of the split into training and test cells: no model in it, so that models can be paired.

    It is made of the counts and batches, of what perturbs them, of the section ``split`` and of the seed
    of the split. The labels are not in it: who names the types changes no split.
    """
    dataset = plain["dataset"]
    content = dataset.get("unlabelled_sha256") or dataset["sha256"]
    given = {section: plain[section] for section in ("perturb", "split") if section in plain}
    return sha256({"dataset": content, **given, "seed": plain.get("split_seed", seed)})
