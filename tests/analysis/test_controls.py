"""Floors, ceilings, and what a rescaled value is worth, against a simulation of all three means."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bie.analysis import load
from bie.analysis.controls import Scale, is_control, scale_of

Make = Callable[..., Any]


def rows_of(**arms: Any) -> dict[tuple[str, str], dict[str, float]]:
    return {
        (name, "ari"): {"mean": float(np.mean(v)), "sd": float(np.std(v, ddof=1)), "n": len(v)}
        for name, v in arms.items()
    }


def test_the_interval_carries_the_spread_of_the_controls() -> None:
    rng, covered, narrow = np.random.default_rng(0), 0, 0
    for _ in range(500):
        draws = {
            "scvi": rng.normal(0.6, 0.05, 8),
            "noise": rng.normal(0.1, 0.05, 5),
            "labels": rng.normal(0.9, 0.05, 5),
        }
        found = Scale({"ari": "noise"}, {"ari": "labels"}, rows_of(**draws)).rescaled("scvi", "ari")
        covered += bool(found.low <= 0.625 <= found.high)
        alone = 2.36 * draws["scvi"].std(ddof=1) / math.sqrt(8) / 0.8  # controls as if known
        narrow += bool(abs(found.mean - 0.625) <= alone)
    assert 0.92 < covered / 500 < 0.98
    assert narrow < covered


def test_controls_that_do_not_differ_span_no_scale() -> None:
    rng = np.random.default_rng(1)
    rows = rows_of(scvi=rng.normal(0.6, 0.1, 5), a=rng.normal(0.5, 0.1, 5), b=rng.normal(0.5, 0.1, 5))
    assert math.isnan(Scale({"ari": "a"}, {"ari": "b"}, rows).rescaled("scvi", "ari").mean)


def test_one_control_is_no_scale_and_methods_are_no_controls(disk: Any, point: Make) -> None:
    arms = [point("noise", model__method="noise"), point("harmony", model__method="harmony"), point()]
    for arm in arms:
        disk.record(arm, 0, {"ari": 0.5})
    study = load(disk.root)
    assert [is_control(study, arm.id) for arm in arms] == [True, False, False]
    assert scale_of(study, [arm.id for arm in arms], {}) is None


def test_lower_is_better_turns_floor_and_ceiling(disk: Any, point: Make) -> None:
    arms = {name: point(name, model__method=name) for name in ("noise", "batch_only")}
    for value, arm in enumerate(arms.values()):
        for seed in range(3):
            disk.record(arm, seed, {"probe_f1": 0.5 + value / 2 + seed / 100})
    rows = {
        (arm.id, "probe_f1"): {"mean": 0.5 + i / 2, "sd": 0.01, "n": 3} for i, arm in enumerate(arms.values())
    }
    scale = scale_of(load(disk.root), [arm.id for arm in arms.values()], rows)
    assert scale is not None
    assert scale.floor["probe_f1"] == arms["batch_only"].id
    assert scale.rescaled(arms["noise"].id, "probe_f1").mean == pytest.approx(1)
