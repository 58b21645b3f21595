"""Latent vectors that runs saved, as pictures: one run of each model, at the same seed, of the same cells."""

from collections.abc import Iterator

import numpy as np

from bie.analysis.figures.embeddings import MOST_CELLS, embeddings
from bie.analysis.figures.maps import Map, project
from bie.analysis.figures.material import Material, Picture
from bie.analysis.run_files import Embedding, read_embedding

MOST_MODELS = 5  # side by side


def latent_pictures(material: Material, dataset: str) -> Iterator[Picture]:
    """Draw the first run of each model that saved its latent vectors, a figure for each kind of map."""
    names, found = material.titles(dataset), dict[str, Embedding]()
    runs = material.study.runs
    done = runs[(runs["dataset"] == dataset) & (runs["state"] == "done")].sort_values("seed", kind="stable")
    seeds = done["seed"].unique()
    for _, part in done[done["seed"] == (seeds[0] if len(seeds) else -1)].groupby("model", sort=False):
        for row in part.to_dict("records"):
            embedding = read_embedding(material.tree, row, material.seen)
            if embedding is not None:
                found[names[row["config_id"]]] = embedding
                break
    found = dict(list(found.items())[:MOST_MODELS])
    for method in material.maps if found else ():
        yield _side_by_side(found, int(seeds[0]), method)


def _side_by_side(found: dict[str, Embedding], seed: int, method: str) -> Picture:
    """The cells that all have, of many a sample."""
    common = sorted(set.intersection(*(set(embedding.cell.tolist()) for embedding in found.values())))
    if len(common) > MOST_CELLS:
        common = sorted(np.random.default_rng(0).choice(common, MOST_CELLS, replace=False).tolist())
    maps, name = dict[str, Map](), ""
    for title, embedding in found.items():
        maps[title], name = project(embedding.z[_rows(embedding, common)], method)
    first = next(iter(found.values()))
    rows = _rows(first, common)
    colourings = {"batch": first.batch[rows].tolist()}
    if first.label is not None:
        colourings["type"] = first.label[rows].tolist()
    caption = f"Latent vectors ({name}) of {len(common):,} cells, the same for each model; seed {seed}."
    stem = "embeddings" if method == "tsne" else f"embeddings_{method}"
    return Picture(stem, caption, embeddings(maps, colourings, name))


def _rows(embedding: Embedding, cells: list[str]) -> list[int]:
    place = {cell: i for i, cell in enumerate(embedding.cell.tolist())}
    return [place[cell] for cell in cells]
