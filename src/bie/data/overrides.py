"""What to type to set a key, quoted for Hydra and for the shell; and what a path means that was typed."""

import re
import shlex
from pathlib import Path


def typed(path: Path) -> Path:
    """A path with ``~`` and ``~user`` as folders of users, where there is one; any other is a name as well.

    >>> typed(Path("~nobody of this name/a.h5ad"))
    PosixPath('~nobody of this name/a.h5ad')
    """
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def override(key: str, value: str) -> str:
    """``key=value`` as it can be pasted into a shell.

    >>> print(override("dataset.batch_key", "donor"), override("dataset.layer", "raw, all"))
    dataset.batch_key=donor 'dataset.layer='"'"'raw, all'"'"''
    """
    return shlex.quote(f"{key}={_hydra(value)}")


def _hydra(value: str) -> str:
    """Quote a value where Hydra's grammar would read something else than this text."""
    plain = re.fullmatch(r"[A-Za-z0-9_./@+-]+", value) and not _is_other_than_text(value)
    literal = re.sub(
        r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value
    )  # to OmegaConf, ${...} is a reference
    # within quotes, Hydra reads backslashes literally except before a quote
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), literal)
    return value if plain else f"'{escaped}'"


def _is_other_than_text(value: str) -> bool:
    """Whether Hydra's grammar could take it for a number, a truth value or nothing: ``1_000`` is 1000."""
    try:
        float(value)
    except ValueError:
        return value.lower() in ("null", "true", "false")
    return True
