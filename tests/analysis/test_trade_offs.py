"""Fronts against closed forms, and verdicts on hypervolumes where the truth is known."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bie.analysis import load, trade_off
from bie.analysis.figures import gallery
from bie.analysis.figures.material import Material
from bie.analysis.fronts import Cloud, attained, bands, cloud_of, dominated, hypervolumes, knee
from bie.analysis.trade_off_text import as_lines
from bie.analysis.trade_offs import front_endings
from bie.errors import BadInput
from bie.store.paths import Tree

Make = Callable[..., Any]


def staircase(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Area that points dominate, summed by hand, as a share of the box."""
    scaled = (points - low) / (high - low)
    area, reach = 0.0, 0.0
    for x, y in sorted(scaled.tolist(), reverse=True):
        area += x * max(0.0, y - reach)
        reach = max(reach, y)
    return area


def test_hypervolume_is_the_area_under_the_staircase() -> None:
    values = np.random.default_rng(0).uniform(size=(5, 4, 2))
    cloud = Cloud([f"c{i}" for i in range(5)], [f"s{j}" for j in range(4)], values)
    low, high = values.min(axis=(0, 1)), values.max(axis=(0, 1))
    for of in (["c0", "c1", "c2", "c3", "c4"], ["c1", "c3"]):
        places = [int(name[1]) for name in of]
        known = [staircase(values[places, j], low, high) for j in range(4)]
        assert hypervolumes(cloud, of) == pytest.approx(known)


def test_of_a_metric_that_is_always_the_same_nothing_is_dominated() -> None:
    values = np.array([[[0.1, 3.0]], [[0.4, 3.0]]])
    assert hypervolumes(Cloud(["a", "b"], ["s"], values), ["a", "b"]).tolist() == [0]


def test_the_splits_of_a_cloud_have_both_numbers_of_every_grid_point(disk: Any, point: Make) -> None:
    one, other = point(), point("scvi_mine")
    for seed in range(6):
        f1 = None if seed == 4 else 0.1 * seed
        disk.record(one, seed, {"ari": 0.3 + seed / 10, "probe_f1": f1})
        if seed != 5:
            path = disk.record(other, seed, {"ari": None if seed == 3 else seed / 10, "probe_f1": 0.5})
            if seed == 1:
                record = json.loads(path.read_text())
                path.write_text(path.read_text().replace(record["split_id"], split_of(disk, one, 0)))
    found = cloud_of(load(disk.root), [other.id, one.id], ("probe_f1", "ari"), "test")
    assert found.splits == [split_of(disk, one, seed) for seed in (0, 2)]
    # a lower F1 is better; of two seeds on one split the mean counts
    assert found.values[0] == pytest.approx(np.array([[-0.5, (0.0 + 0.1) / 2], [-0.5, 0.2]]))
    assert found.values[1] == pytest.approx(np.array([[0.0, 0.3], [-0.2, 0.5]]))
    assert found.of([one.id]) == pytest.approx(found.values[1:])


def split_of(disk: Any, point: Any, seed: int) -> str:
    return str(json.loads((disk.folder(point, seed) / "record.json").read_text())["split_id"])


@pytest.mark.parametrize("splits", [np.repeat(np.arange(12), 5), np.tile(np.arange(12), 5)])
def test_the_attained_surface_is_that_of_its_definition(splits: Any) -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(60, 2))
    surfaces = attained(points, splits)
    assert list(surfaces) == [25, 50, 75]
    for x, y in draw.normal(size=(200, 2)):
        reached = np.mean([np.any(np.all(points[splits == s] >= (x, y), axis=1)) for s in range(12)])
        for level, corners in surfaces.items():
            assert np.any(np.all(corners >= (x, y), axis=1)) == (reached >= level / 100)


def test_half_the_splits_attain_the_median_surface() -> None:
    """One point per split on a line: the surfaces are its order statistics."""
    values = np.array([[[x, 1 - x]] for x in (0.1, 0.2, 0.3, 0.4)]).swapaxes(0, 1)
    found = bands(values, np.array([1.0, -1.0]))  # the second axis is one of costs
    half = found[found["percent"] == 50]
    reached = [
        sum(bool((v >= (row["removal"], -row["conservation"])).all()) for v in values[0])
        for row in half.to_dict("records")
    ]
    assert reached == [2] * len(half) != []


@pytest.mark.parametrize(
    ("points", "place"),
    [
        ([[0, 1], [0.5, 0.9], [0.9, 0.5], [1, 0]], 1),
        ([[0, 1], [0.5, 0.6], [1, 0]], 1),
        ([[0, 1], [0.4, 0.4], [1, 0]], -1),  # within the line between the ends
        ([[0, 1], [0.5, 0.5], [1, 0]], -1),  # on it
        ([[0, 0], [0.5, 1], [0.4, 0.9]], 1),  # dominates all
        ([[0, 0], [1, 1], [1, 1]], 1),  # as does its like
        ([[0, 1], [1, 0]], -1),
    ],
)
def test_the_knee_is_farthest_beyond_the_line_between_the_ends(points: Any, place: int) -> None:
    assert knee(np.array(points, dtype=float)) == place
    units = np.array([100.0, 0.01])
    assert knee(np.array(points, dtype=float) * units + 7) == place


def test_dominance_is_that_of_the_means_with_its_share_of_the_splits() -> None:
    values = np.array([[[0.5, 0.5]] * 4, [[0.625, 0.75]] * 3 + [[0.625, 0.25]], [[0.875, 0.125]] * 4])
    cloud = Cloud(["a", "b", "c"], list("wxyz"), values)
    assert dominated(cloud) == {"a": ("b", 0.75)}
    same_means = np.array([[[0.625, 0.625]] * 4])
    more = Cloud(["a", "b", "c", "d"], list("wxyz"), np.concatenate([values, same_means]))
    assert dominated(more) == {"a": ("d", 1.0)}


@pytest.fixture
def sweep(disk: Any, point: Make) -> Any:
    """Three scales of two penalties; MINE removes as much at less cost. Lower probe F1 is more removal."""
    rng, split = np.random.default_rng(3), {"split.train_fraction": 0.6}
    arms = [(point(other=split), 0.0, 0.0)]
    for x, mine, mmd in ((0.3, 0.02, 0.1), (0.7, 0.05, 0.2), (0.75, 0.4, 0.5)):
        arms.append((point("scvi_mine", other=split, mine__scale=100 * x), x, mine))
        arms.append((point("scvi_mmd", other=split, mmd__scale=1000 * x), x, mmd))
    for p, removed, cost in arms:
        for seed in range(7):
            if (p.model, removed, seed) == ("scvi_mmd", 0.7, 6):
                continue  # missing: the split counts for no front
            less = 0.05 if p.model == "scvi_mmd" else 0.0
            ari, f1 = 0.8 - cost + rng.normal(0, 0.01), 1 + less - removed / 2 + rng.normal(0, 0.01)
            disk.record(p, seed, {"ari": ari, "probe_f1": f1, "be": removed})
    return disk


def test_a_sweep_of_scales_has_its_fronts_compared(sweep: Any) -> None:
    (found,) = trade_off(load(sweep.root), removal="probe_f1")
    assert (found.removal, found.conservation, len(found.hypervolumes)) == ("probe_f1", "ari", 6)
    (row,) = found.differences.to_dict("records")
    assert (row["front"], row["other"], row["n_pairs"]) == ("scvi_mine", "scvi_mmd", 6)
    assert 0 < row["low"] < row["mean"] < row["high"]
    assert row["low_new"] < row["low"]
    points = found.points.set_index(["front", "row"])
    assert points.loc[("scvi_mine", "scvi_mine mine.scale=70"), "knee"] == 1
    assert points.loc[("scvi_mmd", "scvi_mmd mmd.scale=700"), "dominated_by"] == "scvi_mine mine.scale=70"
    plain = points.loc[("scvi_mine", "scvi"), "removal"]
    assert plain == pytest.approx(1, abs=0.02)  # as recorded, not turned
    assert set(found.bands["front"]) == {"scvi_mine", "scvi_mmd"}
    assert found.bands["removal"].between(0.5, 1.1).all()


def test_it_is_said_in_lines(sweep: Any) -> None:
    (found,) = trade_off(load(sweep.root), removal="probe_f1")
    text = "\n".join(as_lines(found))
    assert text.startswith("trade-off, zinb, test cells: probe F1 ↓ against ARI ↑, 6 common splits")
    assert "scvi_mine above scvi_mmd: ." in text
    (volume,) = re.findall(r"scvi_mmd: . scales; hypervolume (\S+) of the box", text)
    mean, sd = volume.split("±")
    assert len(mean) == len(sd)  # to the same decimal
    assert "knee at scvi_mine mine.scale=70 (100% of the splits)" in text
    assert "scvi_mmd mmd.scale=700 by scvi_mine mine.scale=70" in text


def test_of_many_fronts_those_are_named_that_are_told_apart(sweep: Any) -> None:
    (found,) = trade_off(load(sweep.root), removal="probe_f1")
    many = pd.concat([found.differences, *[found.differences.assign(p_holm=1.0)] * 11], ignore_index=True)
    parts = [found.points.assign(config_id=str(i), dominated_by="a row") for i in range(9)]
    points = pd.concat(parts, ignore_index=True)
    lines = list(as_lines(replace(found, differences=many, points=points)))
    assert sum("scvi_mine above scvi_mmd" in line for line in lines) == 1
    assert "  hypervolumes not told apart, of 12 pairs of fronts: 11" in lines
    assert any(line.endswith("; and 1 more") for line in lines)


def test_preferences_draw_a_front_of_their_own(disk: Any, point: Make) -> None:
    arms = [point(), *(point("scvi_mine", mine__scale=s) for s in (1.0, 2.0))]
    arms += [point("scvi_mine", mine__preference=p) for p in (0.3, 0.6)]
    for p, x in zip(arms, (0.0, 0.3, 0.6, 0.4, 0.7), strict=True):
        for seed in range(4):
            disk.record(p, seed, {"ari": 1 - x * x + seed / 100, "be": x + seed / 50})
    study = load(disk.root)
    assert sorted(front_endings(study)) == ["", "", "", " by preference", " by preference"]
    (found,) = trade_off(study)
    assert list(found.hypervolumes) == ["scvi_mine", "scvi_mine by preference"]
    counted = found.points.groupby("front")["scale"].agg(lambda scales: sorted(scales.dropna()))
    assert counted.to_dict() == {"scvi_mine": [1, 2], "scvi_mine by preference": [0.3, 0.6]}
    lines = list(as_lines(found))
    assert lines[1].startswith("  scvi_mine: 2 scales; hypervolume ")
    assert lines[2].startswith("  scvi_mine by preference: 2 preferences; hypervolume ")


def test_cells_split_in_two_ways_have_fronts_apart(
    disk: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = [
        point(model, split__train_fraction=fraction, **scale)
        for fraction in (0.6, 0.9)
        for model, scale in (
            ("scvi", {}),
            ("scvi_mine", {"mine__scale": 1.0}),
            ("scvi_mine", {"mine__scale": 2.0}),
        )
    ]
    for p, x in zip(arms, (0.0, 0.3, 0.6, 0.1, 0.4, 0.7), strict=True):
        for seed in range(3):
            disk.record(p, seed, {"ari": 1 - x + seed / 100, "be_ratio": x + seed / 50})
    study = load(disk.root)
    names = ["zinb split.train_fraction=0.6", "zinb split.train_fraction=0.9"]
    assert [found.dataset for found in trade_off(study)] == names
    drawn: list[Any] = []
    monkeypatch.setattr(gallery, "trade_off", lambda wide, *_: drawn.append(wide))
    material = Material(Tree(disk.root), study, pd.DataFrame(), pd.DataFrame(), ())
    pictures = list(gallery._trade_offs(material, "zinb"))
    assert [picture.name for picture in pictures] == ["trade_off_be_ratio_ari_1", "trade_off_be_ratio_ari_2"]
    assert [picture.caption.split(". ")[0] for picture in pictures] == names
    assert [picture.draw() for picture in pictures] == [None, None]
    assert [set(wide["config_id"]) for wide in drawn] == [{p.id for p in arms[:3]}, {p.id for p in arms[3:]}]


def test_cells_of_two_kinds_without_a_front_have_no_figure(disk: Any, point: Make) -> None:
    for fraction in (0.6, 0.9):
        for model in ("scvi", "pca"):
            disk.record(point(model, split__train_fraction=fraction), 0, {"ari": 0.5, "be_ratio": 0.5})
    material = Material(Tree(disk.root), load(disk.root), pd.DataFrame(), pd.DataFrame(), ())
    assert list(gallery._trade_offs(material, "zinb")) == []


def test_two_fronts_that_are_one_are_not_told_apart(disk: Any, point: Make) -> None:
    rng, wrong = np.random.default_rng(5), 0
    points = [point("scvi_mine", mine__scale=s) for s in (1.0, 2.0)]
    points += [point("scvi_mmd", mmd__scale=s) for s in (1.0, 2.0)]
    for _ in range(12):
        for p, x in zip(points, (0.3, 0.7, 0.3, 0.7), strict=True):
            for seed in range(5):
                disk.record(p, seed, {"ari": 1 - x + rng.normal(0, 0.1), "be": x + rng.normal(0, 0.1)})
        (found,) = trade_off(load(disk.root))
        wrong += found.differences["p_holm"].iloc[0] < 0.05
    assert wrong <= 3


def test_no_sweep_of_scales_has_no_front(disk: Any, point: Make) -> None:
    for p in (point(), point("scvi_mine", mine__scale=10.0)):
        disk.record(p, 0, {"ari": 0.5, "be": 0.5})
    assert trade_off(load(disk.root)) == []


def test_a_scale_at_which_all_runs_fail_is_left_out_and_named(disk: Any, point: Make) -> None:
    arms = [point(), *(point("scvi_mine", mine__scale=s) for s in (1.0, 2.0, 3.0))]
    disk.plan(arms, range(4))
    for p, x in zip(arms, (0.0, 0.3, 0.6), strict=False):
        for seed in range(4):
            disk.record(p, seed, {"ari": 1 - x * x + seed / 100, "be": x + seed / 50})
    for seed in range(4):
        disk.failure(arms[-1], seed, "nan")
    (found,) = trade_off(load(disk.root))
    assert (len(found.hypervolumes), found.left_out) == (4, ("scvi_mine mine.scale=3",))
    assert found.points["scale"].dropna().tolist() == [1, 2]
    one = replace(found, points=found.points[found.points["scale"].fillna(0) < 2])
    assert list(as_lines(one))[1].startswith("  scvi_mine: 1 scale; hypervolume ")
    assert "  left out, no run has both numbers: scvi_mine mine.scale=3" in list(as_lines(found))


def test_without_a_number_of_the_baseline_fronts_begin_at_their_first_scale(disk: Any, point: Make) -> None:
    arms = [point(), *(point("scvi_mine", mine__scale=s) for s in (1.0, 2.0))]
    for p, x in zip(arms, (None, 0.3, 0.6), strict=True):
        for seed in range(4):
            disk.record(p, seed, {"ari": 0.5 + seed / 100, "be": None if x is None else x + seed / 50})
    (found,) = trade_off(load(disk.root))
    assert found.points["row"].tolist() == ["scvi_mine mine.scale=1", "scvi_mine mine.scale=2"]
    assert found.left_out == ("scvi",)
    assert "cost of a run" not in "".join(as_lines(found))
    assert "baseline" not in next(as_lines(found))


def test_a_baseline_with_a_scale_is_called_as_its_row(disk: Any, point: Make) -> None:
    for p, x in [(point(), 0.1), *((point("scvi_mine", mine__scale=s), s / 3) for s in (1.0, 2.0))]:
        for seed in range(3):
            disk.record(p, seed, {"ari": 0.5 + seed / 100, "be": x + seed / 50})
    said = [next(as_lines(*trade_off(load(disk.root), baseline=row))) for row in ("scvi", "mine.scale=2")]
    assert [line.rpartition("; ")[2] for line in said] == [
        "baseline as scale 0", "baseline scvi_mine mine.scale=2",
    ]  # fmt: skip


def test_an_axis_without_a_value_is_named(sweep: Any) -> None:
    with pytest.raises(BadInput, match=r"^nmi: no value on test cells. There are: ari, be, probe_f1"):
        trade_off(load(sweep.root), conservation="nmi")


def test_an_axis_has_a_better_end(disk: Any, point: Make) -> None:
    for p in (point(), *(point("scvi_mine", mine__scale=s) for s in (1.0, 2.0))):
        disk.record(p, 0, {"ari": 0.5, "be": 0.5, "kl_z": 3.0})
    with pytest.raises(BadInput, match=r"^kl_z: neither more nor less of it is better"):
        trade_off(load(disk.root), removal="kl_z")
