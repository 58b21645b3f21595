"""Which column of obs tells the batches and which the cell types, by how people call them."""

import re
from typing import TYPE_CHECKING, NamedTuple

from bie.data import grouping

if TYPE_CHECKING:
    import pandas as pd

    from bie.data.table import Table

_ONTOLOGY = re.compile(r"ontology_?(term|id)|_term|_color", re.I)
_LABELS = (
    re.compile(r"^cell[ ._-]?types?$", re.I),
    re.compile(r"cell[ ._-]?type", re.I),
    re.compile(
        r"annot|^ann[._]|cell[ ._-]?(label|ident|class|name|ontology_class)|^labels?$|^ident$|subclass", re.I
    ),
    re.compile(
        r"label|^class|^types?$|subtype|lineage|majority_voting"
        r"|^(broad|coarse|fine|main|major|minor|sc)[ ._-]?(class|type)(es|s)?$",
        re.I,
    ),
    re.compile(r"cluster|leiden|louvain|_res[._]\d", re.I),
)
"""Names of cell types, the surest first; clusters are a computation's and come last."""
_BATCHES = (
    re.compile(r"^(batch(es)?|batch[ ._-]?(id|key|name|label|no|number))$", re.I),
    re.compile(r"batch", re.I),
    re.compile(
        r"sample|donor|patient|individual|subject|orig[._]ident|library|replicate|mouse|animal|participant"
        r"|specimen|channel|lane|\brun|^gem",
        re.I,
    ),
    re.compile(r"chem|assay|tech|protocol|method|platform|instrument|sequenc|\bkit\b|version", re.I),
    re.compile(r"study|site|plate|dataset|experiment|project|lab\b|cohort|cent(er|re)|chip|pool|well", re.I),
)
"""Names of batches, the surest first: a sample is one batch, an assay may be several."""
_QUALITY = re.compile(
    r"^n_?(gene|count|umi|feature)|count|pct|percent|mito|ribo|score|doublet|phase|total|is_primary|outlier",
    re.I,
)
_OTHER = re.compile(r"batch|doublet|hash|demux", re.I)
"""What is no cell type, though it be called label or class."""

_LAST, _NEVER = 30.0, 40.0


class Guess(NamedTuple):
    """The likeliest column, None if there is none, and the next one that groups the cells differently."""

    best: str | None
    second: str | None


def labels(obs: "Table | pd.DataFrame") -> Guess:
    """Columns that could hold cell types: only those that are called so."""
    ranked = {key: _rank(key, _LABELS) for key in grouping.groupings(obs) if not _is_yes_or_no(obs, key)}
    found = [key for key, rank in ranked.items() if rank < len(_LABELS) and not _OTHER.search(key)]
    ontology = [key for key in found if _ONTOLOGY.search(key)]
    place = {key: 3.5 if key in ontology else ranked[key] for key in found}  # surer than clusters
    return _likeliest(obs, place)


def batches(obs: "Table | pd.DataFrame", label: str | None) -> Guess:
    """Columns that could hold batches; in the end any that tells groups and is not the label."""
    sizes = grouping.groupings(obs) | {
        key: size for key, size in grouping.many(obs).items() if _rank(key, _BATCHES) < len(_BATCHES)
    }
    place = {key: _place_as_batch(obs, key) for key in sizes if key != label}
    return _likeliest(obs, {key: rank for key, rank in place.items() if rank < _NEVER})


def _place_as_batch(obs: "Table | pd.DataFrame", key: str) -> float:
    """Position of a column among those that could tell batches; those of other meaning are last."""
    import pandas as pd

    rank, is_label = _rank(key, _BATCHES), _rank(key, _LABELS) < len(_LABELS)
    if _QUALITY.search(key) or (is_label and rank == len(_BATCHES)):
        return _NEVER
    if _ONTOLOGY.search(key) or _is_yes_or_no(obs, key):
        return _LAST
    if rank < len(_BATCHES):
        return rank
    return 20.0 if pd.api.types.is_numeric_dtype(obs[key]) else 10.0


def _rank(key: str, words: tuple[re.Pattern[str], ...]) -> int:
    return next((rank for rank, word in enumerate(words) if word.search(key)), len(words))


def _likeliest(obs: "Table | pd.DataFrame", place: dict[str, float]) -> Guess:
    """By place, whole columns before those with missing values, else in the order of the file."""
    found = sorted(place, key=lambda key: (place[key], bool(obs[key].isna().any())))
    if not found:
        return Guess(None, None)
    best = found[0]
    others = (key for key in found[1:] if place[key] < _LAST and not _same(obs, best, key))
    return Guess(best, next(others, None))


def _same(obs: "Table | pd.DataFrame", one: str, other: str) -> bool:
    """Whether two columns group the cells alike, under whatever names."""
    pairs = set(
        zip(grouping.codes(obs[one])[0].tolist(), grouping.codes(obs[other])[0].tolist(), strict=True)
    )
    return len(pairs) == obs[one].nunique(dropna=False) == obs[other].nunique(dropna=False)


def _is_yes_or_no(obs: "Table | pd.DataFrame", key: str) -> bool:
    return {str(value).lower() for value in obs[key].dropna().unique()} <= {"true", "false"}
