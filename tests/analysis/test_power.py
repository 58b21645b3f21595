"""What a design can see, against the noncentral t distribution and against drawn studies."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import nct, t, ttest_1samp

from bie.analysis.power import Design, detectable, power, seeds_for
from bie.analysis.verdicts import POWER
from bie.store.paths import Tree
from tests.analysis.conftest import Disk, Point


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("test_to_train", [0.0, 1 / 9, 2 / 3])
def test_the_test_finds_it_with_the_power_that_is_said(n: int, test_to_train: float) -> None:
    error = 0.7 * math.sqrt(1 / n + test_to_train)
    ncp, bound = detectable(0.7, n, test_to_train) / error, t.ppf(0.975, n - 1)
    found = nct.sf(bound, n - 1, ncp) + nct.cdf(-bound, n - 1, ncp)
    assert found == pytest.approx(POWER, abs=1e-4)


def test_drawn_studies_find_it_as_often() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(detectable(2.0, 8), 2.0, (4000, 8))
    found = np.mean(np.asarray(ttest_1samp(drawn, 0, axis=1).pvalue) < 0.05)
    assert found == pytest.approx(POWER, abs=0.02)  # three binomial standard errors


def test_more_seeds_have_a_floor_on_new_cells_and_none_on_these() -> None:
    floor = detectable(1.0, math.inf, 0.4 / 0.6)  # type: ignore[arg-type]
    assert floor == pytest.approx(2.8016 * math.sqrt(2 / 3), abs=1e-3)
    assert floor < detectable(1.0, 100_000, 0.4 / 0.6) < floor * 1.001
    assert detectable(1.0, 100_000) < 0.01


@pytest.mark.parametrize("ratio", [0.05, 0.3, 1.0, 3.0, 3.3, 7.0, 9.5, 30.0])
def test_seeds_for_a_difference_are_the_fewest_that_see_it(ratio: float) -> None:
    n = seeds_for(ratio, 1.0)
    assert detectable(1.0, n) <= ratio * (1 + 1e-6)
    assert n == 2 or detectable(1.0, n - 1) > ratio


def study(disk: Disk, point: Any, n: int, sd: float, model: str = "scvi_mine") -> Tree:
    draw = np.random.default_rng(0).standard_normal(n)
    draw = (draw - draw.mean()) / draw.std(ddof=1)
    for seed in range(n):
        same: dict[str, float | None] = {"nmi": 0.5}  # at all seeds: no spread to learn from
        disk.record(point("scvi"), seed, {"ari": 0.5, "kl_z": 1.0, **same})
        disk.record(point(model), seed, {"ari": 0.5 + sd * float(draw[seed]), "kl_z": 2.0, **same})
    return Tree(disk.root)


def of_the_cells(point: Point, model: str = "scvi_mine", n_seeds: int = 10) -> Design:
    return Design("zinb", model, point.config["dataset"]["sha256"], 0.6, n_seeds)


def test_the_pilot_is_the_model_on_the_same_cells(disk: Disk, point: Any) -> None:
    tree = study(disk, point, 5, 0.03)
    title, _, row, source, helps = power([of_the_cells(point())], [tree])
    assert title.startswith("power: zinb scvi_mine, smallest mean difference seen in 80%")
    assert row.split() == ["ARI", "0.030", "0.030", "0.014", "0.083", "0.069", "0.043", "0.020", "20"]
    assert "scvi_mine" in source
    assert "5 pairs (the true one is 0.6 to 2.9 times it)" in source
    assert "split.train_fraction=0.9 makes it 48% finer" in helps
    other = power([of_the_cells(point(), "adversarial")], [tree])
    assert other[2:4] == [row, source]  # no pilot of its own: another model's on these cells


def test_no_number_of_seeds_is_named_for_a_margin_of_0(
    disk: Disk, point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bie.analysis.comparison.margins", lambda study, given: {"ari": 0.0})
    _, _, row, *_ = power([of_the_cells(point())], [study(disk, point, 5, 0.03)])
    assert row.split()[-2:] == ["–", "–"]


def test_without_a_split_nothing_is_said_of_new_cells(disk: Disk, point: Any) -> None:
    design = Design("zinb", "scvi_mine", point().config["dataset"]["sha256"], None, 10)
    _, _, row, _, helps = power([design], [study(disk, point, 5, 0.03)])
    assert row.split() == ["ARI", "0.030", "0.030", "0.014", "–", "–", "–", "0.020", "20"]
    assert helps == "these cells: 4 times the seeds see a difference smaller by 54%"


def test_without_a_pilot_it_says_how_to_make_one(disk: Disk, point: Any) -> None:
    tree = study(disk, point, 2, 0.03)
    (line,) = power([of_the_cells(point())], [tree])
    assert "study.name=pilot" in line
    assert len(power([of_the_cells(point())], [study(disk, point, 3, 0.03)])) > 1
    more = study(disk, point, 5, 0.03)
    (line,) = power([of_the_cells(point(dataset="other"))], [more])
    assert "study.name=pilot" in line


def test_a_study_whose_baseline_is_gone_is_no_pilot(disk: Disk, point: Any) -> None:
    tree = study(disk, point, 5, 0.03)
    launch = disk.root / "launches" / "20250101-000000-0000"
    launch.mkdir(parents=True)
    (launch / "launch.json").write_text('{"settings": {"study": {"baseline": "pca"}}}')
    (line,) = power([of_the_cells(point())], [tree])
    assert "study.name=pilot" in line


def test_one_seed_shows_nothing(disk: Disk, point: Any) -> None:
    (line,) = power([of_the_cells(point(), n_seeds=1)], [study(disk, point, 5, 0.03)])
    assert "one seed has no spread" in line


def test_the_spread_of_a_pilot_narrows_with_its_pairs(disk: Disk, point: Any) -> None:
    *_, source, _ = power([of_the_cells(point())], [study(disk, point, 20, 0.03)])
    assert "20 pairs (the true one is 0.8 to 1.5 times it)" in source  # chi-square with 19 degrees of freedom
