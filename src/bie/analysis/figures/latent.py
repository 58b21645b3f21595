"""Latent vectors that runs saved, as pictures: one run of each model, or chosen ones, of the same cells."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bie.analysis.figures.embeddings import MOST_CELLS, embeddings
from bie.analysis.figures.maps import Map, project
from bie.analysis.figures.material import Material, Picture
from bie.analysis.run_files import Embedding, read_embedding
from bie.errors import BadInput
from bie.store.identity import SHOWN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Found = tuple[dict[Any, Any], Embedding]
"""Row of a run, and its latent vectors."""

MOST_MODELS = 5  # side by side


def latent_pictures(material: Material, dataset: str) -> Iterator[Picture]:
    """Draw the runs of a data set that are chosen, else one of each model, a figure for each kind of map.

    Raises
    ------
    BadInput
        A chosen run saved no latent vectors, or more are chosen than can stand side by side.
    """
    runs = material.study.runs
    done = runs[(runs["dataset"] == dataset) & (runs["state"] == "done")]
    found = _chosen(material, done) or _first(material, done)
    seeds = {row["seed"] for row, _ in found}
    names = material.titles(dataset)
    titled = {
        names[row["config_id"]] + (f", seed {row['seed']}" if len(seeds) > 1 else ""): embedding
        for row, embedding in found
    }
    for method in material.maps if found else ():
        yield _side_by_side(titled, f"; seed {seeds.pop()}" if len(seeds) == 1 else "", method)


def find_chosen(runs: "pd.DataFrame", chosen: Sequence[str]) -> "list[dict[Any, Any]]":
    """The finished runs whose ids begin as those that were typed, in that order.

    Raises
    ------
    BadInput
        There is no such run, or there are several.
    """
    done = runs[runs["state"] == "done"]
    found = []
    for text in chosen:
        rows = done[done["run_id"].astype(str).str.startswith(text)].to_dict("records")
        if len(rows) != 1:
            what = (
                f"begins the ids of {len(rows)} runs"
                if rows
                else "no finished run of this study has such an id"
            )
            raise BadInput(f"--map-of {text}: {what}. The page has the ids, in its table of runs")
        found += rows
    return found


def _chosen(material: Material, done: "pd.DataFrame") -> list[Found]:
    here, found = set(done["run_id"]), list[Found]()
    for row in find_chosen(material.study.runs, material.chosen):
        if row["run_id"] not in here:
            continue  # of another data set
        embedding = read_embedding(material.tree, row, material.seen)
        if embedding is None:
            raise BadInput(
                f"--map-of {row['run_id'][:SHOWN]}: this run saved no latent vectors. Its own command with "
                "save.embedding=true trains it anew for them"
            )
        found.append((row, embedding))
    if len(found) > MOST_MODELS:
        raise BadInput(f"--map-of: {len(found)} runs of one data set; {MOST_MODELS} can stand side by side")
    return found


def _first(material: Material, done: "pd.DataFrame") -> list[Found]:
    """The first grid point of each model that saved its latent vectors, at the first seed."""
    found = list[Found]()
    for _, part in done[done["seed"] == done["seed"].min()].groupby("model", sort=False):
        for row in part.to_dict("records"):
            embedding = read_embedding(material.tree, row, material.seen)
            if embedding is not None:
                found.append((row, embedding))
                break
    return found[:MOST_MODELS]


def _side_by_side(found: dict[str, Embedding], seed: str, method: str) -> Picture:
    """The cells that all have, of many a sample."""
    common = sorted(set.intersection(*(set(embedding.cell.tolist()) for embedding in found.values())))
    if len(common) > MOST_CELLS:
        common = sorted(np.random.default_rng(0).choice(common, MOST_CELLS, replace=False).tolist())
    first = next(iter(found.values()))
    rows = _rows(first, common)
    colourings = {"batch": first.batch[rows].tolist()}
    if first.label is not None:
        colourings["type"] = first.label[rows].tolist()
    caption = f"Maps of the latent vectors of {len(common):,} cells, the same for each model{seed}."
    stem = "embeddings" if method == "tsne" else f"embeddings_{method}"

    def draw() -> "Figure":
        maps, name = dict[str, Map](), ""
        for title, embedding in found.items():
            maps[title], name = project(embedding.z[_rows(embedding, common)], method)
        return embeddings(maps, colourings, name)

    return Picture(stem, caption, draw)


def _rows(embedding: Embedding, cells: list[str]) -> list[int]:
    place = {cell: i for i, cell in enumerate(embedding.cell.tolist())}
    return [place[cell] for cell in cells]
