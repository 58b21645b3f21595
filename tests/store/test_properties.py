"""What holds of identity and canonical text for any value."""

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import canonical, config_id, run_id, scientific, sha256, split_id
from bie.store.provenance import configuration_folder

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)
HASHES = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}
CONFIGURATIONS = Configurations(configuration_folder())


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a pair, which no YAML file and no command line holds
        return False
    return True


def _turned(value: Any) -> Any:
    """The same with the keys of all sections in the opposite order."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(VALUES.filter(_encodable))
def test_canonical_text_reads_back_and_knows_no_order(value: Any):
    assert json.loads(canonical(value)) == value
    assert sha256(_turned(value)) == sha256(value)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0, 1e6),
    lr=st.floats(1e-9, 1.0),
    n_hidden=st.integers(1, 512),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_run_is_what_its_values_are_however_they_are_written(
    scale: float, lr: float, n_hidden: int, seed: int
):
    def ids(*typed: str) -> tuple[str, str, str]:
        config = expand(["model=scvi_mine", *typed], CONFIGURATIONS).combinations[0].config
        plain = scientific(config, HASHES)
        return config_id(plain), run_id(plain, seed), split_id(plain, seed)

    typed = [f"mine.scale={scale!r}", f"train.lr={lr!r}", f"model.n_hidden={n_hidden}", f"seed={seed}"]
    written = [
        f"mine.scale={scale:.17e}",
        f"train.lr={lr:.17e}",
        f"model.n_hidden={n_hidden:_d}",
        f"++seed={seed}",
    ]
    assert ids(*typed) == ids(*written)
    assert ids(*typed) == ids(*reversed(typed))
    other = ids(*typed, f"model.n_hidden={n_hidden + 1}") if n_hidden else ids()
    assert other[:2] != ids(*typed)[:2]
    assert other[2] == ids(*typed)[2]
    assert not math.isnan(scale)
