"""The names and the two sides of scIB, on values that are told apart by their digits."""

import pytest

from bie.metrics import scib

VALUES = {
    **{"isolated_labels": 0.1, "nmi": 0.2, "ari": 0.3, "asw": -0.2, "clisi": 0.9},
    **{"bras": 0.5, "ilisi": 0.25, "kbet": 0.75, "graph_connectivity": 1.0, "pcr": 0.0},
    "silhouette_batch": 0.6,
}


def entered(**lacking: str) -> tuple[dict[str, float | None], dict[str, str]]:
    values: dict[str, float | None] = VALUES | dict.fromkeys(lacking)
    missing = dict(lacking)
    scib.enter(values, missing)
    assert values.keys() == VALUES.keys() | scib.CARDS.keys()
    return values, missing


def test_means_of_the_two_sides_are_those_of_the_paper() -> None:
    values, missing = entered()
    assert missing == {}
    found = {name: values[name] for name in scib.CARDS}
    bio, batch = (0.1 + 0.2 + 0.3 + 0.4 + 0.9) / 5, (0.5 + 0.25 + 0.75 + 1 + 0) / 5
    assert found == pytest.approx(
        {"asw_label": 0.4, "asw_batch": 0.6, "isolated_label_asw": 0.1, "scib_bio": bio, "scib_batch": batch}
        | {"scib_total": 0.6 * bio + 0.4 * batch}
    )


def test_a_side_of_which_something_is_missing_is_missing_too() -> None:
    values, missing = entered(asw="no labels", nmi="no labels", silhouette_batch="one type")
    assert [values[name] for name in ("asw_label", "asw_batch", "scib_bio", "scib_total")] == [None] * 4
    assert values["scib_batch"] == pytest.approx(0.5)
    assert missing == {
        **{"asw": "no labels", "nmi": "no labels", "silhouette_batch": "one type"},
        **{"asw_label": "no labels", "asw_batch": "one type", "scib_bio": "without nmi, asw_label"},
        "scib_total": "one of its two sides is missing",
    }


def test_without_the_other_side_there_is_no_total_either() -> None:
    values, missing = entered(kbet="too few")
    assert (values["scib_batch"], values["scib_total"]) == (None, None)
    assert values["scib_bio"] == pytest.approx(0.38)
    assert missing["scib_batch"] == "without kbet"


def test_ranges_are_those_of_the_parts() -> None:
    """Adjusted Rand goes down to -0.5; one of five means is -0.1, six tenths of which the total has."""
    lows = {name: card.range[0] for name, card in scib.CARDS.items()}
    assert lows.pop("scib_bio") == -0.5 / 5
    assert lows.pop("scib_total") == pytest.approx(0.6 * -0.5 / 5)
    assert set(lows.values()) == {0.0}
    assert {card.range[1] for card in scib.CARDS.values()} == {1.0}
