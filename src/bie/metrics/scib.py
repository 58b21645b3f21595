"""The names and the scaling of scIB and OpenProblems, asked for by ``metrics=scib``.

What they call by another name, and the means of the two sides that their tables are ordered by.
"""

from collections.abc import Mapping
from statistics import fmean

from bie.metrics.metric import Card

_LUECKEN = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"

CARDS = {
    "asw_label": Card(
        "ASW label", "higher", (0.0, 1.0), "", _LUECKEN, about="`asw` as scIB scales it: `(asw + 1) / 2`."
    ),
    "asw_batch": Card(
        "ASW batch",
        "higher",
        (0.0, 1.0),
        "",
        _LUECKEN,
        about="`silhouette_batch` by the name that scIB has for it.",
    ),
    "isolated_label_asw": Card(
        *("isolated label ASW", "higher", (0.0, 1.0), "", _LUECKEN),
        about="`isolated_labels` by the name that scIB has for it.",
    ),
    "scib_bio": Card(
        *("bio conservation", "higher", (-0.1, 1.0), "", _LUECKEN),
        headline=True,
        about="Mean of `isolated_labels`, `nmi`, `ari`, `asw_label` and `clisi`, as in scib-metrics 0.6.",
    ),
    "scib_batch": Card(
        *("batch correction", "higher", (0.0, 1.0), "", _LUECKEN),
        headline=True,
        about="Mean of `bras`, `ilisi`, `kbet`, `graph_connectivity` and `pcr`, as in scib-metrics 0.6.",
    ),
    "scib_total": Card(
        *("scIB total", "higher", (-0.06, 1.0), "", _LUECKEN),
        headline=True,
        about="`0.6 scib_bio + 0.4 scib_batch`.",
    ),
}
"""Of the values that are added; `nmi` is normalised by the arithmetic mean there."""

BIO = ("isolated_labels", "nmi", "ari", "asw_label", "clisi")
BATCH = ("bras", "ilisi", "kbet", "graph_connectivity", "pcr")
"""Whose means are the two sides, as in scib-metrics 0.6."""


def enter(values: dict[str, float | None], missing: dict[str, str]) -> None:
    """Add the values of `CARDS` to those that they are made of, or why they are missing."""
    asw = values["asw"]
    made: dict[str, tuple[float | None, str]] = {
        "asw_label": (None if asw is None else (asw + 1) / 2, "asw"),
        "asw_batch": (values["silhouette_batch"], "silhouette_batch"),
        "isolated_label_asw": (values["isolated_labels"], "isolated_labels"),
    }
    for name, (value, source) in made.items():
        values[name] = value
        if value is None:
            missing[name] = missing[source]
    for name, parts in (("scib_bio", BIO), ("scib_batch", BATCH)):
        values[name] = _mean(name, values, missing, parts)
    bio, batch = values["scib_bio"], values["scib_batch"]
    values["scib_total"] = None if bio is None or batch is None else 0.6 * bio + 0.4 * batch
    if values["scib_total"] is None:
        missing["scib_total"] = "one of its two sides is missing"


def _mean(
    name: str, values: Mapping[str, float | None], missing: dict[str, str], parts: tuple[str, ...]
) -> float | None:
    found = [value for part in parts if (value := values[part]) is not None]
    if len(found) == len(parts):
        return fmean(found)
    missing[name] = f"without {', '.join(part for part in parts if values[part] is None)}"
    return None
