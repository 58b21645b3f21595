"""Sections of experiments on pairs of variables of known mutual information; see `bie.kinds.pairs`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bie.config.base import Data, Method
from bie.config.sections import section
from bie.schema import Count, Float, Int, Positive, matching

Case = Annotated[str, matching(r"three_([1-9]|1[0-3])|ten_[0-6]", "three_1 to three_13, or ten_0 to ten_6")]
"""Classes of `bie.mutual_information.known`."""


@section
class Pairs(Data):
    """Pairs of variables drawn from a known distribution; see `bie.mutual_information.known`."""

    yields = "pairs"

    source: Literal["pairs"]
    kind: Literal["gaussian_gaussian", "gaussian_lognormal", "gaussian_categorical", "bernoulli_mixture"]
    n_pairs: Annotated[Int, Field(ge=20)]
    d: Annotated[Int, Field(ge=1, le=1000)]
    rho: Annotated[Float, Field(gt=-1, lt=1)]
    log_x: bool
    case: Case
    n_components: Annotated[Int, Field(ge=1, le=1000)]
    mean_difference: Float
    wide: bool

    def inactive(self) -> dict[str, str]:
        """Each kind reads some of the keys."""
        acting = {
            "gaussian_gaussian": {"d", "rho"},
            "gaussian_lognormal": {"rho", "log_x"},
            "gaussian_categorical": {"d", "case"},
            "bernoulli_mixture": {"d", "n_components", "mean_difference", "wide"},
        }[self.kind]
        own = {"d", "rho", "log_x", "case", "n_components", "mean_difference", "wide"}
        return dict.fromkeys(own - acting, f"kind={self.kind}")


class Estimator(Method):
    """Base of what estimates a mutual information."""

    takes = "pairs"
    ignores: ClassVar[tuple[str, ...]] = (
        *("train", "metrics", "cluster_seed"),
        *("init_seed", "order_seed", "noise_seed"),
    )


@section
class Critic(Estimator):
    """A lower bound by a trained critic; see `bie.kinds.critics`."""

    ignores: ClassVar[tuple[str, ...]] = ("train", "metrics", "cluster_seed")

    method: Literal["critic"]
    critic: Literal["mlp", "mine_net", "mine_net2", "mine_net3", "mine_net4"]
    n_hidden: Count
    n_layers: Count
    estimator: Literal["dv", "nwj", "infonce"]
    ema: Annotated[Float, Field(gt=0, le=1)]
    epochs: Count
    lr: Positive
    adam_eps: Positive
    batch_size: Annotated[Int, Field(ge=2)]

    def inactive(self) -> dict[str, str]:
        """Some critics have sizes of their own; only one bound has an average."""
        own = {"mine_net3": ["n_layers"], "mine_net4": ["n_hidden", "n_layers"]}
        inactive = dict.fromkeys(own.get(self.critic, []), f"critic={self.critic}")
        return inactive if self.estimator == "dv" else inactive | {"ema": f"estimator={self.estimator}"}


@section
class Neighbours(Estimator):
    """An estimate by nearest neighbours: Kraskov et al. 2004, or with a discrete variable Ross 2014."""

    method: Literal["neighbours"]
    k: Count


@section
class Sklearn(Estimator):
    """Scikit-learn's estimate by nearest neighbours, of one variable on each side."""

    method: Literal["sklearn"]
    k: Count
