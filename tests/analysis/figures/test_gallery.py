from collections.abc import Callable
from typing import Any

from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material
from bie.analysis.figures.types import MOST_POINTS
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.store.paths import Tree


def test_of_many_grid_points_types_are_shown_for_some_of_each_model(
    disk: Any, point: Callable[..., Any]
) -> None:
    for model in ("scvi", "scvi_mine"):
        for ratio in range(MOST_POINTS):
            p = point(model, perturb__ratio=float(ratio))
            disk.record(p, 0, {"ari": 0.5}, by_type={"test": {"B": 1.0 + ratio, "T": 2.0}})
    tree = Tree(disk.root)
    results = results_of(read_study(tree))
    pictures = gallery(Material(tree, results.study, results.summary, results.comparison, ("ari",)))
    (found,) = (picture for picture in pictures if picture.name == "types")
    names = [text.get_text().split(" ")[0] for text in found.figure.legends[0].get_texts()]
    assert names == ["scvi"] * 4 + ["scvi_mine"] * 4
    assert found.caption.endswith(f"1: mixed. {MOST_POINTS} of {2 * MOST_POINTS} grid points.")
