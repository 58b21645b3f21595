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

SHOWN = 12


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values.

    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def scientific(config: "RunConfig", dataset_sha256: str) -> dict[str, Any]:
    """The experiment as plain values, seed included: what `record.json` holds as ``config``.

    The dataset is named by its content; where it lay and what is saved are not part of it.
    """
    plain = config.scientific()
    return plain | {"dataset": plain["dataset"] | {"sha256": dataset_sha256}}


def config_id(plain: Mapping[str, Any]) -> str:
    """Identity of a grid point: the scientific config without its seed."""
    return sha256({key: value for key, value in plain.items() if key != "seed"})


def run_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of one run: the scientific config with the seed."""
    return sha256({**plain, "seed": seed})


def split_id(plain: Mapping[str, Any], seed: int) -> str:
    """Identity of the split into training and test cells: no model in it, so that models can be paired."""
    content = plain["dataset"]["sha256"]
    return sha256({"dataset": content, "split": plain["split"], "seed": seed})
