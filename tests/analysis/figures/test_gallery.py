import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material, Picture
from bie.analysis.figures.style import COLUMN, MODELS
from bie.analysis.figures.types import MOST_POINTS
from bie.analysis.grid import OTHER_THAN_CELLS
from bie.analysis.page.content import tables
from bie.analysis.page.words import verdict
from bie.analysis.paired_tables import paired_tables
from bie.analysis.render import as_text
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.analysis.titles import titles
from bie.config import Data
from bie.config.sections import sections
from bie.errors import BadInput
from bie.store.paths import Tree


def pictures_of(disk: Any, *chosen: str) -> Iterator[Picture]:
    tree = Tree(disk.root)
    results = results_of(read_study(tree))
    material = Material(tree, results.study, results.summary, results.comparison, ("ari",), ("pca",), chosen)
    return gallery(material)


def test_maps_of_all_models_have_one_colour_scale(disk: Any, point: Callable[..., Any]) -> None:
    for gain, model in enumerate(("scvi", "scvi_mine")):
        for h in range(2):
            for n in range(2):
                disk.record(point(model, net__h=h, net__n=n), 0, {"ari": 0.1 * h + 0.01 * n + 0.5 * gain})
    maps = [picture for picture in pictures_of(disk) if picture.name.startswith("grid_")]
    assert [found.name for found in maps] == ["grid_scvi_ari", "grid_scvi_mine_ari"]
    for found in maps:
        assert found.figure.axes[0].images[0].get_clim() == (0.0, 0.61)
        assert found.caption.endswith("Colours mean the same for each model.")


def test_settings_that_act_on_some_grid_points_alone_have_maps_of_their_own(
    disk: Any, point: Callable[..., Any]
) -> None:
    for ari, value in enumerate((1, 4)):
        for mode in ("beta", "warmup"):
            disk.record(point(kl__mode=mode, kl__weight=value), 0, {"ari": float(ari)})
        for gamma in (10, 1000):
            disk.record(point(kl__mode="capacity", kl__capacity=value, kl__gamma=gamma), 0, {"ari": 3.0})
    first, second = (picture for picture in pictures_of(disk) if picture.name.startswith("grid_"))
    assert (first.name, second.name) == ("grid_scvi_ari_1", "grid_scvi_ari_2")
    captions = {picture.caption.partition(":")[0]: picture for picture in (first, second)}
    assert set(captions) == {"scvi, test cells", "scvi, kl.mode=capacity, test cells"}
    for found in (first, second):
        axis, _ = found.figure.axes  # one map, one scale
        assert found.figure.get_figwidth() == COLUMN
        values = axis.images[0].get_array()
        assert values is not None
        assert values.shape == (2, 2)
        assert axis.get_title() == ""


def test_a_model_of_ones_own_has_one_colour_in_all_figures(disk: Any, point: Callable[..., Any]) -> None:
    values = {"aligned": {}, "coral": {"be_ratio": 0.5}, "scvi": {"be_ratio": 0.4}}
    for model, more in values.items():
        path = disk.record(point(model), 0, {"ari": 0.5, **more})
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"timing": {"total_s": 1.0}}))
    disk.record(point("noise", model__method="noise"), 0, {"be_ratio": 1.0, "ari": 0.0})  # beyond the axes
    disk.record(point("old"), 0, {"ari": 0.5})  # nobody knows how long it took: it has no box
    found = {picture.name: picture.figure for picture in pictures_of(disk)}
    (plane,) = found["trade_off_be_ratio_ari"].axes
    dots = {str(line.get_label()).split(" ")[0]: to_hex(line.get_color()) for line in plane.lines}
    assert "noise (1.00, .00)" in {line.get_label() for line in plane.lines}
    (times,) = found["cost"].axes
    names = [text.get_text() for text in times.get_yticklabels()]
    boxes = dict(zip(names, (to_hex(box.get_facecolor()) for box in times.patches), strict=True))
    assert dots["coral"] == boxes["coral"] != boxes["aligned"]
    assert dots["scvi"] == boxes["scvi"] == MODELS["scvi"]


def test_what_is_sampled_is_called_so(disk: Any, point: Callable[..., Any]) -> None:
    for model in ("scvi", "scvi_mine"):
        for seed in range(2):
            disk.record(point(model, dataset__source="sets"), seed, {"ari": 0.1 * seed})
    assert {schema.yields for schema in sections(Data)} == {"cells", *OTHER_THAN_CELLS}
    found = {picture.name: picture for picture in pictures_of(disk)}
    assert found["means"].caption == "Mean over the seeds, ±sd, of training and of test sets."
    assert found["differences"].caption.startswith("Test sets: mean paired difference")
    (legend,) = found["means"].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["train sets", "test sets"]
    results = results_of(read_study(Tree(disk.root)))
    assert [table.title for table in results.tables] == ["zinb, test sets", "zinb, train sets"]
    assert "cells" not in as_text(results.tables[0])
    paired = as_text(next(paired_tables(results)))
    assert "difference, these sets" in paired
    assert "cells" not in paired
    words = verdict(results, "zinb", titles(results.study.grid_points), ("ari",))
    assert words.caveats[-1].startswith("Each seed draws its sets anew")
    tooltips = {cell.words for row in tables(results)[0].rows for cell in row.cells}
    assert tooltips == {"", "open: .000 [no interval]; new sets: not shown"}


def test_of_many_grid_points_types_are_shown_for_some_of_each_model(
    disk: Any, point: Callable[..., Any]
) -> None:
    for model in ("scvi", "scvi_mine"):
        for ratio in range(MOST_POINTS):
            p = point(model, perturb__ratio=float(ratio))
            disk.record(p, 0, {"ari": 0.5}, by_type={"test": {"B": 1.0 + ratio, "T": 2.0}})
    (found,) = (picture for picture in pictures_of(disk) if picture.name == "types")
    names = [text.get_text().split(" ")[0] for text in found.figure.legends[0].get_texts()]
    assert names == ["scvi"] * (MOST_POINTS // 2) + ["scvi_mine"] * (MOST_POINTS // 2)
    assert "; types by their mean over the grid points, largest first. " in found.caption
    assert found.caption.endswith(f"1: mixed. {MOST_POINTS} of {2 * MOST_POINTS} grid points.")


def embedded(disk: Any, point: Callable[..., Any]) -> dict[tuple[float, int], str]:
    """Ids of runs with embeddings by scale and seed; of the last one there is none."""
    ids = {}
    for scale in (1.0, 2.0, 3.0):
        for seed in range(2):
            p = point("scvi_mine", mine__scale=scale)
            path = disk.record(p, seed, {"ari": 0.5})
            ids[scale, seed] = json.loads(path.read_text())["run_id"]
            cells = np.array(["b", "a", "c"])
            if (scale, seed) != (3.0, 1):
                np.savez(path.with_name("embedding.npz"), z=np.eye(3), cell=cells, batch=cells)
    return ids


@pytest.mark.parametrize(
    ("chosen", "shown", "seed"),
    [
        ([], ["scvi_mine scale=1"], "; seed 0."),
        ([(3.0, 0), (2.0, 0)], ["scvi_mine scale=3", "scvi_mine scale=2"], "; seed 0."),
        ([(2.0, 0), (2.0, 1)], ["scvi_mine scale=2, seed 0", "scvi_mine scale=2, seed 1"], "each model."),
    ],
)
def test_embeddings_of_chosen_runs_stand_side_by_side(
    chosen: list[tuple[float, int]], shown: list[str], seed: str, disk: Any, point: Callable[..., Any]
) -> None:
    ids = embedded(disk, point)
    (found,) = (p for p in pictures_of(disk, *(ids[run][:12] for run in chosen)) if "embed" in p.name)
    assert [axis.get_title().replace("\n", " ") for axis in found.figure.axes] == shown
    assert found.caption.endswith(seed)


def test_chosen_runs_that_cannot_be_shown_are_said(disk: Any, point: Callable[..., Any]) -> None:
    ids = embedded(disk, point)
    with pytest.raises(BadInput, match="no finished run of this study"):
        list(pictures_of(disk, "nothing"))
    with pytest.raises(BadInput, match="saved no latent vectors"):
        list(pictures_of(disk, ids[3.0, 1]))
    first = next(id for id in ids.values() if sum(other[0] == id[0] for other in ids.values()) > 1)
    with pytest.raises(BadInput, match="begins the ids of"):
        list(pictures_of(disk, first[0]))
