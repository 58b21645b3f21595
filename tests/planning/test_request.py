import pytest

from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.request import check_environment


@pytest.fixture
def _other_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bie.store.environment.installed", lambda: {"numpy": "1.0"})


def _said(configurations: Configurations, *typed: str) -> str | None:
    return check_environment(expand(typed, configurations).settings)


def test_an_environment_as_the_lock_is_passed_over(configurations: Configurations, monkeypatch):
    monkeypatch.setattr("bie.store.environment.installed", dict)
    assert _said(configurations) is None


@pytest.mark.usefixtures("_other_numpy")
def test_a_launch_warns_refuses_or_ignores(configurations: Configurations):
    said = _said(configurations)
    assert said is not None
    assert "numpy 1.0 (not " in said
    assert _said(configurations, "environment=ignore") is None
    with pytest.raises(BadInput, match=r"environment=refuse: not as in requirements\S*: numpy 1.0"):
        _said(configurations, "environment=refuse")
