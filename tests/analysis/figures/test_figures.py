import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bie.analysis.figures.bars import bars
from bie.analysis.figures.cost import cost
from bie.analysis.figures.embeddings import category_colours, embeddings
from bie.analysis.figures.forest import VERDICTS, forest
from bie.analysis.figures.heat_map import heat_map
from bie.analysis.figures.learning_curves import learning_curves, terms
from bie.analysis.figures.maps import project
from bie.analysis.figures.sheet import chosen, sheet
from bie.analysis.figures.style import (
    COLOURS,
    MODELS,
    MOST_ROWS,
    across,
    as_svg,
    colours,
    legend_columns,
    save,
    shades,
)
from bie.analysis.figures.trade_off import trade_off
from bie.analysis.figures.types import types
from bie.errors import BadInput

TITLES = {"a": "scvi", "b": "scvi_mine scale=1", "c": "scvi_mine $cale=2"}


def shown(figure: Figure) -> list[Any]:
    return [axis for axis in figure.axes if axis.get_visible()]


def ticks(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_yticklabels()]


def summary() -> pd.DataFrame:
    rows = [
        {"config_id": config, "split": split, "metric": metric, "mean": 0.1 * i + 0.5 * j, "sd": 0.05}
        for i, config in enumerate(TITLES)
        for j, split in enumerate(("train", "test"))
        for metric in ("ari", "elbo")
    ]
    return pd.DataFrame(rows)


def widths(bars: Any) -> list[tuple[float, float]]:
    """Ends of bars."""
    return [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths()]


def test_bars_are_the_means_with_their_spread() -> None:
    figure = bars(summary(), TITLES, ["ari", "elbo"])
    ari, elbo = shown(figure)
    assert ari.get_title() == "ARI ↑"
    assert (elbo.get_title(), elbo.get_xlabel()) == ("neg. ELBO ↓", "nats per cell")
    assert ticks(ari) == list(TITLES.values())
    train, _, test, lines = ari.collections
    assert widths(train) == [pytest.approx((0.0, width)) for width in (0.0, 0.1, 0.2)]
    assert widths(test) == [pytest.approx((0.0, width)) for width in (0.5, 0.6, 0.7)]
    spread = lines.get_segments()
    assert [(line[0][0], line[1][0]) for line in spread] == [
        pytest.approx((mean - 0.05, mean + 0.05)) for mean in (0.5, 0.6, 0.7)
    ]


def test_of_500_grid_points_the_first_are_drawn() -> None:
    names = {f"p{i}": f"point {i}" for i in range(500)}
    rows = (
        summary().iloc[[0]].merge(pd.DataFrame({"config_id": list(names)}), how="cross", suffixes=("_", ""))
    )
    figure = bars(rows, names, ["ari"])
    assert len(ticks(shown(figure)[0])) == MOST_ROWS
    assert figure.get_size_inches()[1] < 12


def compared(**changed: object) -> pd.DataFrame:
    row = {
        "config_id": "b", "metric": "ari", "mean": 0.1, "low": 0.05, "high": 0.15, "low_new": -0.05,
        "high_new": 0.25, "margin": 0.02, "verdict": "better",
    }  # fmt: skip
    return pd.DataFrame([row | changed, row | {"config_id": "c", "mean": -0.1, "verdict": "worse"}])


@pytest.mark.parametrize("length", [35, 45])
def test_a_metric_above_a_narrow_panel_is_not_divided_within_a_word(length: int) -> None:
    rows = compared(metric="dci_disentanglement").assign(metric="dci_disentanglement")
    (axis,) = shown(forest(rows, dict.fromkeys(TITLES, "n" * length), ["dci_disentanglement"]))
    assert axis.get_title() == "DCI\ndisentanglement ↑"


def test_a_forest_has_both_intervals_the_margin_and_a_marker_for_each_verdict() -> None:
    (axis,) = shown(forest(compared(), TITLES, ["ari"]))
    assert ticks(axis) == [TITLES["b"], TITLES["c"]]  # the baseline has no row
    margin, new, these = axis.collections
    mean, other, _ = axis.lines
    assert list(new.get_segments()[0][:, 0]) == [-0.05, 0.25]
    assert list(these.get_segments()[0][:, 0]) == [0.05, 0.15]
    assert these.get_linewidth()[0] > 2 * new.get_linewidth()[0]
    assert (mean.get_xdata()[0], mean.get_marker(), mean.get_color()) == (0.1, "^", VERDICTS["better"][0])
    assert other.get_marker() == "v"
    assert widths(margin)[0] == pytest.approx((-0.02, 0.02))


def test_a_forest_of_one_seed_has_means_without_intervals_and_leaves_out_what_is_not_compared() -> None:
    nothing = dict.fromkeys(("low", "high", "low_new", "high_new", "margin"), np.nan)
    rows = compared(**nothing, verdict="open").iloc[:1]
    (axis,) = shown(forest(rows, TITLES, ["ari"]))
    assert axis.lines[0].get_xdata()[0] == 0.1
    assert not widths(axis.collections[0])
    rows = pd.concat([compared(mean=np.nan), compared(metric="mi_truth").iloc[:1]])  # which no row can change
    (axis,) = shown(forest(rows, TITLES, ["ari"]))
    assert ticks(axis) == [TITLES["c"]]


def test_heat_maps_hold_the_means_at_their_settings() -> None:
    rows = [
        {"metric": "ari", "h": h, "l": d, "s": s, "mean": h + 100 * d + 1000 * s}
        for h in (10, 30, 90) for d in (3, 1) for s in (1.0, 2.0)
    ]  # fmt: skip
    figure = heat_map(pd.DataFrame(rows), ["h", "l", "s"], "ari")
    first, second = shown(figure)[:2]
    assert [first.get_title(), second.get_title()] == ["s=1", "s=2"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("h", "l")
    assert ticks(first) == ["1", "3"]
    np.testing.assert_allclose(second.images[0].get_array(), [[2110, 2130, 2190], [2310, 2330, 2390]])
    written = {text.get_text() for text in first.texts}
    assert written == {"1110", "1130", "1190", "1310", "1330", "1390"}
    assert first.images[0].get_clim() == second.images[0].get_clim() == (1110, 2390)


def test_a_wide_grid_is_drawn_in_fewer_maps_a_row_with_slanted_settings() -> None:
    rows = [
        {"metric": "ari", "s": s, "l": d, "h": h, "mean": 0.7 + s / 1e5}
        for s in (200.0, 500.0, 800.0, 1000.0, 2000.0, 5000.0, 10000.0) for d in (1, 3) for h in (32, 64, 128)
    ]  # fmt: skip
    maps = shown(heat_map(pd.DataFrame(rows), ["s", "l", "h"], "ari"))[:3]
    assert len({round(axis.get_position().y0, 3) for axis in maps}) == 2
    assert {text.get_rotation() for text in maps[0].get_xticklabels()} == {45.0}
    assert {".7020", ".8000"} < {text.get_text() for text in maps[0].texts}


def test_a_legend_has_as_many_columns_as_its_names_leave_room_for() -> None:
    assert legend_columns(["scvi", "pca"], 7.2) == 2
    assert legend_columns(["scvi_mine n_hidden=32 n_layers=1 scale=10000"] * 8, 7.2) == 2
    assert legend_columns(["x" * 60], 3.5) == 1


def test_the_trade_off_shows_every_run_the_means_and_a_front_of_models_with_two_points() -> None:
    draw = np.random.default_rng(1)
    rows = [
        {"model": m, "config_id": f"{m}{i}", "seed": s}
        | {"be_ratio": i + draw.normal(), "ari": draw.normal() - i}
        for m, n in (("scvi", 1), ("scvi_mine", 3)) for i in range(n) for s in range(6)
    ]  # fmt: skip
    (axis,) = shown(trade_off(pd.DataFrame(rows), "be_ratio", "ari"))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("BE / ceiling ↑", "ARI ↑")
    runs, means, mine_runs, mine_means, front = axis.lines
    assert [len(line.get_xdata()) for line in (runs, means, mine_runs, mine_means)] == [6, 1, 18, 3]
    assert means.get_xdata()[0] == pytest.approx(np.mean([row["be_ratio"] for row in rows[:6]]))
    assert front.get_color() == mine_means.get_color()
    heights = front.get_ydata()[np.argsort(front.get_xdata())]
    assert np.all(np.diff(heights[~np.isnan(heights)]) <= 0)  # more mixing costs


def test_a_front_that_some_seeds_do_not_reach_has_a_band_without_end() -> None:
    rows = [
        {"model": model, "config_id": f"{model}{i}", "seed": s, "be_ratio": low + i + s, "ari": low + i - s}
        for model, low in (("scvi_mine", 0.0), ("scvi_mmd", -20.0)) for i in range(2) for s in range(4)
    ]  # fmt: skip
    (axis,) = shown(trade_off(pd.DataFrame(rows), "be_ratio", "ari"))
    lowest = [band.get_paths()[0].get_extents().ymin for band in axis.collections]
    assert lowest == [axis.get_ylim()[0]] * 2


def test_learning_curves_have_a_panel_for_each_term_with_the_mean_over_seeds() -> None:
    mine = {"scvi": np.nan, "other": 2.0}
    rows = [
        {"title": t, "model": t, "seed": s, "epoch": e}
        | {"train_loss": 1.0 * e, "test_loss": e + s, "test_mine": mine[t]}
        for t in ("scvi", "other") for s in range(3) for e in (1, 2)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    assert terms(frame) == ["loss", "mine"]
    loss, added = shown(learning_curves(frame))
    assert [axis.get_title() for axis in (loss, added)] == ["loss", "mine"]
    solid = next(line for line in loss.lines if line.get_label() == "scvi")
    assert list(solid.get_ydata()) == [2.0, 3.0]
    band = loss.collections[1].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (1.0, 4.0)  # sd of 0, 1, 2 is 1
    assert [line.get_label() for line in added.lines] == ["other"]


def test_the_first_epochs_do_not_flatten_the_others() -> None:
    rows = [
        {"title": "scvi", "model": "scvi", "seed": s, "epoch": e, "test_loss": 5e3 if e < 4 else 100 - e + s}
        for s in range(2) for e in range(1, 41)
    ]  # fmt: skip
    (axis,) = shown(learning_curves(pd.DataFrame(rows)))
    low, high = axis.get_ylim()
    assert low < 60.5 - 0.7 < 96.5 + 0.7 < high < 110


def test_five_metrics_stand_in_a_row_where_that_saves_one() -> None:
    assert [across(n, ["scvi", "scvi_mine"]) for n in (4, 5, 8, 9, 10, 12)] == [4, 5, 4, 5, 5, 4]
    assert across(9, ["scvi_mine n_hidden=128"]) == 4


def test_models_stand_side_by_side_in_scanpys_colours() -> None:
    maps = {"scvi": np.zeros((4, 2)), "scvi_mine": np.ones((4, 2))}
    figure = embeddings(maps, {"batch": ["b", "a", "b", "a"], "type": ["$x", "<b>", "$x", "y"]})
    grid = shown(figure)
    assert [axis.get_title() for axis in grid] == ["scvi", "scvi_mine", "", ""]
    colours = [to_hex(colour) for colour in grid[0].collections[0].get_facecolors()]
    assert colours == ["#ff7f0e", "#1f77b4", "#ff7f0e", "#1f77b4"]  # a before b
    assert [text.get_text() for text in grid[3].get_legend().get_texts()] == ["$x", "<b>", "y"]
    assert b"<svg" in as_svg(figure)


def test_every_category_has_a_colour_however_many() -> None:
    names = [f"{i:03d}" for i in range(150)]
    assert len(set(category_colours(names[:28]).values())) == 28
    assert list(category_colours(names)) == names


@pytest.fixture
def quick_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """UMAP's interface without its 20 seconds of compilation: it returns where it starts."""

    class Umap:
        def __init__(self, n_neighbors: int, init: Any, random_state: int, n_jobs: int) -> None:
            self.init = init

        def fit_transform(self, z: Any) -> Any:
            assert len(z) == len(self.init)
            return self.init

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))


@pytest.mark.parametrize(("asked", "name"), [("tsne", "t-SNE"), ("umap", "UMAP"), ("pca", "PC")])
@pytest.mark.usefixtures("quick_umap")
def test_groups_that_are_apart_stay_apart_in_two_dimensions(asked: str, name: str) -> None:
    draw = np.random.default_rng(2)
    z = np.concatenate([draw.normal(size=(40, 10)), draw.normal(size=(40, 10)) + 20])
    at, method = project(z, asked)
    assert (at.shape, method) == ((80, 2), name)
    inside = np.linalg.norm(at[:40] - at[:40].mean(0), axis=1).mean()
    assert np.linalg.norm(at[:40].mean(0) - at[40:].mean(0)) > 2 * inside
    few, method = project(z[:5], asked)
    assert (few.shape, method) == ((5, 2), "PC")


def test_tsne_looks_for_no_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for pynndescent is to load it, which compiles for half a minute in a new environment."""
    monkeypatch.setattr("openTSNE.affinity.is_package_installed", pytest.fail)
    assert project(np.random.default_rng(0).normal(size=(40, 4)))[1] == "t-SNE"


def test_umap_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(BadInput, match="pip install umap-learn"):
        project(np.eye(40), "umap")


def test_chosen_pictures_stand_two_in_a_row_or_are_as_wide_as_the_page(tmp_path: Path) -> None:
    rows = [{"model": "scvi", "config_id": "a", "seed": s, "be_ratio": s, "ari": s} for s in range(2)]
    for name in ("grid_a", "grid_b", "cost"):
        save(trade_off(pd.DataFrame(rows), "be_ratio", "ari"), tmp_path, name)
    save(bars(summary(), TITLES, ["ari"]), tmp_path, "means")
    pictures = chosen(tmp_path, ["grid_*", "means", "grid_a"])
    assert [path.stem for path in pictures] == ["grid_a", "grid_b", "means"]
    figure = sheet(pictures)
    assert [axis.get_title() for axis in figure.axes] == ["grid_a", "grid_b", "means"]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1]
    places = [axis.get_subplotspec() for axis in figure.axes]
    assert [(list(p.rowspan), list(p.colspan)) for p in places if p] == [
        ([0], [0]),
        ([0], [1]),
        ([1], [0, 1]),
    ]
    save(figure, tmp_path, "sheet")
    assert len(chosen(tmp_path, ["*"])) == 4  # never itself
    with pytest.raises(BadInput, match=r"--sheet mean: no picture .* Did you mean means\? There are: cost"):
        chosen(tmp_path, ["mean"])


def test_grid_points_of_a_model_are_shades_of_its_colour() -> None:
    found = shades({"scvi": "scvi", "mine 1": "scvi_mine", "mine 2": "scvi_mine", "mine 3": "scvi_mine"})
    assert found["scvi"] == MODELS["scvi"]
    assert found["mine 3"] == MODELS["scvi_mine"]
    red = [int(found[f"mine {i}"][1:3], 16) for i in (1, 2, 3)]
    assert red[0] > red[1] > red[2] == 0
    assert len(set(found.values())) == 4
    alone = shades({f"weight={i}": "scvi" for i in range(len(COLOURS))})
    assert set(alone.values()) == {*COLOURS}  # else eight greys


def test_means_in_a_plane_have_the_strengths_of_their_penalties() -> None:
    rows = [
        {"model": m, "config_id": c, "seed": s, "be_ratio": s + b, "ari": 0.5}
        for m, c, b in (("scvi", "a", 0), ("scvi_mine", "b", 1), ("scvi_mine", "c", 2)) for s in range(2)
    ]  # fmt: skip
    (axis,) = shown(trade_off(pd.DataFrame(rows), "be_ratio", "ari", {"a": "", "b": "10", "c": "50"}))
    assert {text.get_text(): text.xy[0] for text in axis.texts if text.get_text()} == {"10": 1.5, "50": 2.5}


def test_names_of_means_that_are_close_do_not_lie_one_over_the_other() -> None:
    rows = [
        {"model": "scvi_mmd", "config_id": str(i), "seed": s, "be_ratio": 0.9 + i / 200, "ari": 0.5 - s / 10}
        for i in range(3) for s in range(2)
    ]  # fmt: skip
    figure = trade_off(pd.DataFrame(rows), "be_ratio", "ari", {str(i): f"{i}000" for i in range(3)})
    as_svg(figure)
    boxes = [text.get_window_extent() for text in shown(figure)[0].texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_penalty_has_its_colour_whatever_stands_beside_it() -> None:
    penalties = ["scvi", "scvi_mine", "scvi_mmd", "adversarial", "scvi_hsic", "scvi_club", "scvi_rce"]
    all_of_them = colours(["noise", *penalties, "scvi_orthogonal"])
    assert len({all_of_them[name] for name in penalties}) == len(penalties)
    assert all(colours([name])[name] == all_of_them[name] for name in penalties)


@pytest.mark.parametrize("n_points", [1, 2])
def test_a_control_at_a_corner_does_not_press_all_others_together(n_points: int) -> None:
    """Of a single other grid point nobody would see where it lies."""
    found = [("noise", "n", 1.0, 0.0), ("pca", "p", 0.82, 0.71)]
    found += [("scvi_mine", f"m{i}", 0.8 + 0.05 * i, 0.7 + 0.02 * i) for i in range(n_points)]
    frame = pd.DataFrame(found, columns=["model", "config_id", "be_ratio", "ari"]).assign(seed=0)
    figure = trade_off(frame, "be_ratio", "ari", controls={"noise", "pca"})
    (axis,) = shown(figure)
    is_held = n_points > 1
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(named) == ["noise (1.00, .00)" if is_held else "noise", "pca", "scvi_mine"]
    assert len(axis.texts) == is_held  # the arrow
    assert (axis.get_ylim()[0] > 0.6) == is_held
    figure.draw_without_rendering()


def test_a_legend_of_long_names_lies_within_its_figure() -> None:
    models = ["scvi", "scvi_mine", "a_model_of_" + 9 * "many_" + "words", "noise"]
    rows = [{"model": m, "config_id": m, "seed": 0, "be_ratio": 0.5, "ari": 0.5} for m in models]
    figure = trade_off(pd.DataFrame(rows), "be_ratio", "ari")
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


@pytest.mark.parametrize("length", [9, 45, 60])
def test_headings_of_panels_stand_beside_each_other(length: int) -> None:
    name = "deep_sets differ=shape reg=0.01 transform=sphere epochs=100 lr=0.0001"[:length]
    metrics = ["dci_disentanglement", "map_chance", "precision_at_r", "precision_at_r_chance"]
    rows = [{"config_id": "a", "split": "test", "metric": m, "mean": 0.5, "sd": 0.1} for m in metrics]
    figure = bars(pd.DataFrame(rows), {"a": name}, metrics)
    figure.draw_without_rendering()
    ends = [end for axis in shown(figure) for end in axis.title.get_window_extent().intervalx]
    assert ends == sorted(ends)
    assert ends[-1] <= figure.bbox.width


def test_cost_by_model_and_by_device_where_there_are_two() -> None:
    frame = pd.DataFrame(
        {"model": ["scvi", "scvi", "pca"], "device": ["cpu", "cuda", "cpu"], "total_s": [1.0, 2.0, 3.0]}
    ).assign(dataset="zinb")
    (axis,) = shown(cost(frame))
    assert ticks(axis) == ["scvi on cpu", "scvi on cuda", "pca on cpu"]
    assert axis.get_xlabel() == "time of a run (s)"
    (axis,) = shown(cost(frame.assign(dataset=["pbmc", "zinb", "zinb"], device="cpu")))
    assert ticks(axis) == ["pbmc scvi", "zinb scvi", "zinb pca"]


def test_boxes_of_nearly_equal_runs_lie_within_their_axis() -> None:
    frame = pd.DataFrame({"model": "scvi", "dataset": "zinb", "device": "cpu", "total_s": [380.0, 381.0]})
    (axis,) = shown(cost(frame))
    assert axis.get_xlim() == (0.0, pytest.approx(1.05 * 381))


def test_files_are_the_same_again_and_the_text_of_a_pdf_stays_text(tmp_path: Path) -> None:
    figures = [bars(summary(), TITLES, ["ari"]) for _ in range(2)]
    files = [[path.read_bytes() for path in save(figure, tmp_path, "means")] for figure in figures]
    assert files[0] == files[1]
    assert b"/FontType 42" in files[0][1] or b"/Type0" in files[0][1]
    assert b"/Type3" not in files[0][1]
    assert as_svg(figures[0]) == as_svg(figures[1])


def test_types_have_a_row_each_and_a_mark_for_each_grid_point_that_has_it() -> None:
    rows = [("a", "T", 3.0, 0.2), ("a", "B", 1.1, 0.1), ("c", "T", 1.2, 0.1), ("c", "NK", 2.0, 0.1)]
    frame = pd.DataFrame(rows, columns=["config_id", "type", "mean", "sd"])
    frame["model"] = [TITLES[config].split()[0] for config in frame["config_id"]]
    (axis,) = shown(types(frame, TITLES))
    assert ticks(axis) == ["T", "NK", "B"]  # by their mean
    assert [text.get_text() for text in axis.figure.legends[0].get_texts()] == [TITLES["a"], TITLES["c"]]
    first, second = (np.array(of.lines[0].get_xdata(), float) for of in axis.containers)
    np.testing.assert_equal(first, [3.0, np.nan, 1.1])
    np.testing.assert_equal(second, [1.2, 2.0, np.nan])


def test_a_letter_without_a_glyph_is_no_warning(tmp_path: Path) -> None:
    figure = bars(summary(), {"a": "细"}, ["ari"])
    assert save(figure, tmp_path, "means")[0].stat().st_size
