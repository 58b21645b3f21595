from collections.abc import Callable
from typing import Any

import pytest

from bie.analysis import load
from bie.analysis.page.words import Verdict, verdict
from bie.analysis.results import results_of
from bie.analysis.titles import titles

Make = Callable[..., Any]
SPLIT = {"split__train_fraction": 0.6}


def said(disk: Any, metrics: tuple[str, ...] = ("ari", "be_ratio", "kl_z")) -> Verdict:
    study = load(disk.root)
    return verdict(results_of(study), "zinb", titles(study.grid_points), metrics)


def study(disk: Any, point: Make, n: int, gains: tuple[float, ...]) -> None:
    for seed in range(n):
        noise = (seed % 3 - 1) / 1000
        disk.record(point(**SPLIT), seed, {"ari": 0.5, "be_ratio": 0.5, "kl_z": 1.0})
        for scale, gain in enumerate(gains):
            numbers = {"ari": 0.5 + gain + noise, "be_ratio": 0.5 - gain + noise, "kl_z": 2.0}
            disk.record(point("scvi_mine", mine__scale=float(scale), **SPLIT), seed, numbers)


def test_findings_stand_under_their_verdict_with_interval_and_reading(disk: Any, point: Make) -> None:
    study(disk, point, 9, (0.2, 0.0))
    first, second = said(disk).sentences
    assert (first.title, first.baseline, first.n_pairs) == ("scvi_mine scale=0", "scvi", 9)
    (better,), (worse,) = first.findings["better"], first.findings["worse"]
    assert (better.metric, better.text, better.new_cells) == ("ARI", "+.20000 [.19933, .20067]", True)
    assert worse.text.startswith("-.20000 [-.20067, -.19933]")
    assert [f.text.endswith(", within .02") for f in second.findings["equal"]] == [True, False]
    assert not any("KL" in f.metric for found in first.findings.values() for f in found)


def test_an_open_verdict_says_what_would_close_it_and_claims_nothing_for_new_cells(
    disk: Any, point: Make
) -> None:
    for seed, ari in enumerate((0.45, 0.62, 0.5, 0.58)):
        disk.record(point(), seed, {"ari": 0.5})
        disk.record(point("scvi_mine"), seed, {"ari": ari})
    (sentence,) = said(disk).sentences
    (finding,) = sentence.findings["open"]
    assert "more seeds would tell" in finding.text
    assert not finding.new_cells


def test_caveats_say_what_failed_and_how_few_there_are(disk: Any, point: Make) -> None:
    study(disk, point, 3, (0.2,))
    disk.failure(point(), 3, "nan")
    caveats = said(disk).caveats
    assert caveats[0].startswith("1 run failed: nan 1")
    assert any(caveat.startswith("Only 3 pairs") for caveat in caveats)
    assert "new cells" in caveats[-1]


def test_pairs_that_each_seed_draws_are_new_ones(disk: Any, point: Make) -> None:
    told = {"dataset.source": "pairs"}
    for seed in range(5):
        disk.record(point(other=told), seed, {"ari": 0.1 * seed})
        disk.record(point("critic", other=told), seed, {"ari": 0.2 * seed})
    assert said(disk).caveats[-1].startswith("Each seed draws its pairs anew: what holds for these")


@pytest.mark.parametrize(("model", "why"), [("scvi_mine", "no baseline"), ("scvi", "One pair")])
def test_one_seed_or_no_baseline_give_no_verdict(disk: Any, point: Make, model: str, why: str) -> None:
    disk.record(point(model), 0, {"ari": 0.5})
    disk.record(point("scvi_mine", mine__scale=2.0), 0, {"ari": 0.6})
    assert any(why in caveat for caveat in said(disk).caveats)


def test_baselines_of_many_kinds_of_cells_are_named_by_what_they_share(disk: Any, point: Make) -> None:
    for ratio in range(4):
        for seed in range(2):
            disk.record(point(perturb__ratio=ratio), seed, {"ari": 0.5 + seed})
            disk.record(point("scvi_mine", perturb__ratio=ratio), seed, {"ari": 0.7 - seed})
    assert said(disk).against == "scvi on the same data and splits (4 rows)"
