from collections.abc import Callable, Iterator
from typing import Any

from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material, Picture
from bie.analysis.figures.types import MOST_POINTS
from bie.analysis.grid import OTHER_THAN_CELLS
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.config import Data
from bie.config.sections import sections
from bie.store.paths import Tree


def pictures_of(disk: Any) -> Iterator[Picture]:
    tree = Tree(disk.root)
    results = results_of(read_study(tree))
    return gallery(Material(tree, results.study, results.summary, results.comparison, ("ari",)))


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


def test_of_many_grid_points_types_are_shown_for_some_of_each_model(
    disk: Any, point: Callable[..., Any]
) -> None:
    for model in ("scvi", "scvi_mine"):
        for ratio in range(MOST_POINTS):
            p = point(model, perturb__ratio=float(ratio))
            disk.record(p, 0, {"ari": 0.5}, by_type={"test": {"B": 1.0 + ratio, "T": 2.0}})
    (found,) = (picture for picture in pictures_of(disk) if picture.name == "types")
    names = [text.get_text().split(" ")[0] for text in found.figure.legends[0].get_texts()]
    assert names == ["scvi"] * 4 + ["scvi_mine"] * 4
    assert found.caption.endswith(f"1: mixed. {MOST_POINTS} of {2 * MOST_POINTS} grid points.")
