"""What to type to set a key, quoted for Hydra and for the shell."""

import re
import shlex


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
