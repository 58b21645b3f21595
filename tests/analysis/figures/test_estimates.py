"""Curves of estimates at the values of their runs, the truth beside them, a panel for each kind of pairs."""

import numpy as np
import pandas as pd
import pytest

from bie.analysis.figures.estimates import estimates


def material() -> tuple[pd.DataFrame, dict[str, dict[str, object]]]:
    configs, rows = {}, []
    for d in (2, 20):
        for rho in (0.0, 0.5, 0.9):
            for critic in ("mine_net", "mlp", None):
                name = f"{d} {rho} {critic}"
                model = (
                    {"model.name": "critic", "model.critic": critic}
                    if critic
                    else {"model.name": "neighbours"}
                )
                data = {"dataset.kind": "gaussian_gaussian", "dataset.d": d, "dataset.rho": rho}
                configs[name] = {"dataset.source": "pairs", **data, **model}
                rows += [
                    {
                        "config_id": name,
                        "mi_estimate": d * rho + 0.1 * seed,
                        "mi_truth": d * rho,
                        "mi_cap": 7.0,
                    }
                    for seed in (0, 1)
                ]
    return pd.DataFrame(rows), configs  # type: ignore[return-value]


def test_a_panel_for_each_dimension_with_a_curve_for_each_estimator_over_the_correlation() -> None:
    figure = estimates(*material())
    two, twenty = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in (two, twenty)] == [
        "gaussian-gaussian\nd=2",
        "gaussian-gaussian\nd=20",
    ]
    assert two.get_xlabel() == "rho"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(names) == {"critic mine_net", "critic mlp", "neighbours", "truth", "ln n"}
    curve = next(c for c in two.containers if c.get_label() == "critic mlp")
    x, y = curve[0].get_data()
    assert list(x) == [0.0, 0.5, 0.9]
    assert np.asarray(y) == pytest.approx([0.05, 1.05, 1.85])
    lines = {line.get_label(): line for line in twenty.get_lines()}
    assert np.asarray(lines["truth"].get_ydata()) == pytest.approx([0, 10, 18])
    assert "ln n" in lines
    assert "ln n" not in {line.get_label() for line in two.get_lines()}  # within reach of so many pairs


def test_cases_with_names_are_places_of_their_own() -> None:
    runs, configs = material()
    for config in configs.values():
        config["dataset.kind"], config["dataset.rho"] = (
            "gaussian_categorical",
            f"case {config['dataset.rho']}",
        )
    axis = estimates(runs, configs).axes[0]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["case 0.0", "case 0.5", "case 0.9"]


def test_of_more_estimators_than_colours_each_has_a_look_of_its_own() -> None:
    names = [f"critic_{i}" for i in range(12)]
    data = {"dataset.kind": "gaussian_gaussian", "dataset.rho": 0.5}
    configs = {name: {**data, "model.name": "critic", "model.critic": name} for name in names}
    rows = [{"config_id": name, "mi_estimate": 0.1, "mi_truth": 0.1, "mi_cap": 7.0} for name in names]
    (axis,) = (axis for axis in estimates(pd.DataFrame(rows), configs).axes if axis.get_visible())
    assert len({(curve[0].get_color(), curve[0].get_marker()) for curve in axis.containers}) == 12
