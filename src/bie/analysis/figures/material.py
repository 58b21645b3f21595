"""What figures are drawn from, and one that was drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bie.analysis.figures.style import colours
from bie.analysis.study import Study
from bie.analysis.titles import titles
from bie.analysis.trade_offs import front_endings
from bie.store.paths import Tree

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """The stem of a figure's files, what it shows, and how it is drawn: only when it is asked for."""

    name: str
    caption: str
    draw: Callable[[], "Figure"]

    @cached_property
    def figure(self) -> "Figure":
        """Drawn once."""
        return self.draw()


@dataclass(frozen=True)
class Material:
    """What is drawn: a study, its summary and comparison, the metrics to show, maps of latent vectors.

    Maps are of the runs whose ids begin as those `chosen`, of one run of each model where there are none.
    `seen` takes the histories and embeddings that were looked for.
    """

    tree: Tree
    study: Study
    summary: "pd.DataFrame"
    compared: "pd.DataFrame"
    metrics: tuple[str, ...]
    maps: tuple[str, ...] = ("tsne",)
    chosen: tuple[str, ...] = ()
    seen: list[Path] = field(default_factory=list)

    @cached_property
    def palette(self) -> dict[str, str]:
        """A colour for each model of the study, the same in all its figures."""
        models = self.study.grid_points["model"].astype(str)
        return colours([*dict.fromkeys([*models, *(models + front_endings(self.study))])])

    def titles(self, dataset: str) -> dict[str, str]:
        """What tells the grid points of a data set apart, by their ids."""
        points = self.study.grid_points
        return titles(points[points["dataset"] == dataset])


Chapter = Callable[[Material], Iterator[Picture]]
"""Draws some figures of a study."""
