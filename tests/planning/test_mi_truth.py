"""The studies of estimators: what they hold, and their smoke form from command to page."""

from itertools import islice
from pathlib import Path

import pytest

from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.config.pairs import Critic, Estimator, Pairs
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.run import main as run
from bie.store.paths import Tree


@pytest.mark.parametrize(
    ("study", "kinds", "n_points"),
    [
        ("mi_truth", {"gaussian_gaussian", "gaussian_lognormal"}, 273),
        ("mi_truth_classes", {"gaussian_categorical"}, 231),
        ("mi_truth_mixtures", {"bernoulli_mixture"}, 56),
    ],
)
def test_each_estimator_meets_each_distribution(
    configurations: Configurations, study: str, kinds: set[str], n_points: int
) -> None:
    points = {c.config for c in expand([f"study={study}"], configurations).combinations}
    assert len(points) == n_points
    assert {point.dataset.kind for point in points if isinstance(point.dataset, Pairs)} == kinds
    critics = {point.model.critic for point in points if isinstance(point.model, Critic)}
    assert critics == {"mine_net", "mine_net2", "mine_net3", "mine_net4", "mlp"}
    assert {point.model.method for point in points if isinstance(point.model, Estimator)} == {
        "critic",
        "neighbours",
        "sklearn",
    }


def test_the_figures_of_its_smoke_form(in_tmp: Path) -> None:
    one = "zip(model=[critic,critic,neighbours],model.critic=[mine_net4,mlp,mlp])"
    few = ("dataset.n_pairs=60", "model.epochs=1", "dataset.kind=gaussian_gaussian", "dataset.d=2")
    typed = ("study=mi_truth", *few, "dataset.rho=0,0.9", "seed=0", one)
    assert run(["-m", *typed, "hydra.launcher.workers=0"]) == 0
    tree = Tree(Path("outputs/v1/mi_truth"))
    found = results_of(read_study(tree))
    material = Material(tree, found.study, found.summary, found.comparison, ("mi_error",))
    drawn = {picture.name: picture.figure for picture in islice(gallery(material), 4)}
    assert list(drawn) == ["differences", "means", "estimates_train", "estimates_test"]
