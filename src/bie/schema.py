"""What a section of the configuration is, and how a bad value is reported.

Two marks carry meaning. A field marked `LOCAL` (a path, what to save) says where or how a run happens,
not which experiment it is, and stays out of the identity. `Section.inactive` names the fields that have
no effect under the other values, so that they neither split nor multiply experiments.
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import cache
from operator import methodcaller
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bie.errors import BadInput

LOCAL = "local"


def no_bool(value: Any) -> Any:
    """Hand a value on that is no truth value, which Python takes for a number."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Int = Annotated[int, BeforeValidator(no_bool)]
Float = Annotated[float, BeforeValidator(no_bool)]
Count = Annotated[Int, Field(ge=1)]
NonNegative = Annotated[Float, Field(ge=0)]
Positive = Annotated[Float, Field(gt=0)]
Share = Annotated[Float, Field(gt=0, lt=1)]


def matching(pattern: str, allowed: str) -> AfterValidator:
    """Text that matches a pattern as a whole; `allowed` says in words what does."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {allowed}")
        return text

    return AfterValidator(check)


_NAME = "letters, digits and . _ + - alone, with a letter or a digit first"
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._+-]*", _NAME)]


class Section(BaseModel):
    """Part of the configuration: frozen, closed to unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)

    def inactive(self) -> dict[str, str]:
        """Fields without effect under the other values, each with the setting that makes it so."""
        return {}

    def inactive_keys(self, keys: Collection[str]) -> dict[str, str]:
        """Dotted keys that are inactive, by themselves or with a section around them, and why."""
        inactive, inside = self.inactive(), dict[str, list[str]]()
        for key in keys:
            name, _, rest = key.partition(".")
            if rest and name not in inactive:
                inside.setdefault(name, []).append(rest)
        found = {key: cause for key in keys if (cause := inactive.get(key.partition(".")[0]))}
        for name, rests in inside.items():
            section = getattr(self, name, None)
            inner = section.inactive_keys(rests) if isinstance(section, Section) else {}
            found |= {f"{name}.{rest}": f"{name}.{cause}" for rest, cause in inner.items()}
        return found

    def scientific(self, read: "Callable[[Section], dict[str, Any]] | None" = None) -> dict[str, Any]:
        """Plain values of what defines the experiment: no `LOCAL` field, no inactive one.

        Parameters
        ----------
        read
            Does the same for the sections in here; `bie.store.identity.Once` where many share them.
        """
        inactive, read = self.inactive(), read or methodcaller("scientific")
        plain: dict[str, Any] = {}
        for key, required in _scientific_fields(type(self)):
            value = getattr(self, key)
            if key not in inactive and (required or value is not None):
                nested = hasattr(type(value), "scientific")  # pydantic's isinstance takes longer
                plain[key] = read(value) if nested else value
        return plain


@cache
def _scientific_fields(schema: type[Section]) -> list[tuple[str, bool]]:
    """Fields of a section that are not `LOCAL`, and whether each must be given."""
    fields = schema.model_fields.items()
    return [(key, field.is_required()) for key, field in fields if LOCAL not in field.metadata]


Schema = TypeVar("Schema", bound=Section)


def validated(schema: type[Schema], values: dict[str, Any]) -> Schema:
    """Check plain values against a schema.

    Raises
    ------
    BadInput
        One line for each bad key: its name, its value, what is allowed.
    """
    try:
        return schema.model_validate(_without_missing(values))
    except ValidationError as error:
        raise BadInput("\n".join(_explain(schema, issue) for issue in error.errors())) from None


def _without_missing(values: dict[str, Any]) -> dict[str, Any]:
    """Drop the values that ``conf/`` leaves to the user (``???``), so that they are reported as not set."""
    return {
        key: _without_missing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if not (isinstance(value, str) and value == "???")
    }


_UNIONS = (("dataset",), ("perturb",), ("model",), ("hydra", "launcher"))
"""Sections whose keys depend on a choice."""


def _explain(schema: type[Section], issue: Any) -> str:
    """Turn one pydantic issue into name, value, remedy."""
    parts = [str(part) for part in issue["loc"]]
    for union in _UNIONS:
        if parts[: len(union)] == list(union) and len(parts) > len(union):
            del parts[len(union)]  # the branch of the union, which nobody typed
    key, value = ".".join(parts), issue["input"]
    if issue["type"] == "missing":
        return f"{key} is not set. Give it a value: {key}=..."
    reason = issue["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    allowed = ", ".join(dict.fromkeys(_bounds(schema, parts)))
    return f"{key}={_shown(value)}: {reason[0].lower()}{reason[1:]}" + (f" ({allowed})" if allowed else "")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)


def _bounds(annotation: Any, path: list[str]) -> list[str]:
    """Every bound that the schema sets on the key at `path`, as ``>= 0``, ``< 1``."""
    if path and isinstance(annotation, type):
        return _bounds(get_type_hints(annotation, include_extras=True).get(path[0]), path[1:])
    inner = [bound for part in get_args(annotation) for bound in _bounds(part, path)]
    return inner if path else _signs(getattr(annotation, "__metadata__", ())) + inner


def _signs(metadata: Iterable[Any]) -> list[str]:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    marks = [mark for item in metadata for mark in getattr(item, "metadata", [item])]
    return [f"{signs[n]} {getattr(mark, n)}" for mark in marks for n in signs if hasattr(mark, n)]
