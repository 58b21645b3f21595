"""Sections of penalties: what a preference does to their other keys."""

import pytest

from bie.config.penalties import sections
from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id

MODELS = {name: name if name == "adversarial" else f"scvi_{name}" for name in sections()}


@pytest.mark.parametrize("name", sections())
def test_a_preference_stands_in_for_every_scale(name: str, configurations: Configurations) -> None:
    typed = (f"model={MODELS[name]}", f"{name}.scale=1,100", f"{name}.preference=null,0.5")
    combinations = expand(typed, configurations).combinations
    plain = {config_id(each.config.scientific()): each.config.scientific()[name] for each in combinations}
    weights = [{key: one[key] for key in ("scale", "preference") if key in one} for one in plain.values()]
    assert weights == [{"scale": 1}, {"preference": 0.5}, {"scale": 100}]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (
            ("hsic.preference=0.5", "model=scvi_hsic", "train.epochs=1"),
            "acts from the second epoch on; train.ep",
        ),
        (
            ("mine.preference=0.5", "model=scvi_mine", "mine.critic_training=none"),
            "Use mine.critic_training=adam",
        ),
        (("mine.preference=0.5", "model=scvi_mine", "train.epochs=1"), "^mine.preference=0.5 acts from"),
    ],
)
def test_a_preference_that_would_never_act_is_refused(
    typed: tuple[str, ...], says: str, configurations: Configurations
) -> None:
    with pytest.raises(BadInput, match=says) as error:
        expand(typed, configurations)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "inactive"),
    [
        (("model=scvi_mine", "mine.preference=0.5", "mine.warm_start=1000"), "mine.warm_start"),
        (("model=adversarial", "adversarial.preference=0.5", "adversarial.ramp=ganin"), "adversarial.ramp"),
    ],
)
def test_what_would_delay_the_penalty_is_inactive_with_a_preference(
    typed: tuple[str, ...], inactive: str, configurations: Configurations
) -> None:
    (found,) = expand((*typed, "train.epochs=2"), configurations).combinations
    assert found.inactive == {inactive: typed[1]}
