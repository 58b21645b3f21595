"""What makes two runs the same run.

Everything is the SHA-256 of canonical JSON: keys sorted, no white space, types as the schema coerces
them (``1e3`` and ``1000`` are the same number). Users see the first `SHOWN` hex digits, files hold all.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bie.config import RunConfig
    from bie.schema import Shared

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
    config: "RunConfig", hashes: Mapping[str, str], shared: "Shared | None" = None
) -> dict[str, Any]:
    """The experiment as plain values, seed included: what `record.json` holds as ``config``.

    Where the dataset lay and what is saved are not part of it; its content is, as `hashes`
    (`bie.data.cells.Cells.hashes`). For `shared` see `bie.schema.Section.scientific`.
    """
    plain = config.scientific(shared)
    return plain | {"dataset": {**plain["dataset"], **hashes}}


def _identifying(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What of a scientific config tells experiments apart: the dataset's name does not, its content does.

    It did while a dataset had one hash alone: what such a launch has left to do belongs beside its records.
    """
    dataset = plain["dataset"]
    nameless = {key: value for key, value in dataset.items() if key != "name"}
    counted = nameless if "unlabelled_sha256" in dataset else dataset
    return {key: value for key, value in plain.items() if key != "seed"} | {"dataset": counted}


def config_id(plain: Mapping[str, Any]) -> str:
    """Identity of a grid point: the scientific config without its seed."""
    return sha256(_identifying(plain))


def run_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of one run: the scientific config with the seed."""
    return sha256({**_identifying(plain), "seed": seed})


def split_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of the split into training and test cells: no model in it, so that models can be paired.

    It is made of the counts and batches, of what perturbs them, of the section ``split`` and of the seed
    of the split. The labels are not in it: who names the types changes no split.
    """
    dataset = plain["dataset"]
    content = dataset.get("unlabelled_sha256") or dataset["sha256"]
    given = {section: plain[section] for section in ("perturb", "split") if section in plain}
    return sha256({"dataset": content, **given, "seed": plain.get("split_seed", seed)})
