"""Sections of the penalties."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bie.schema import Count, Float, Int, NonNegative, Positive, Section


class PenaltySection(Section):
    """Base of the penalties' sections, which `RunConfig` has one field for each, named as the module.

    With a penalty whose section declares nothing more a run trains alone; what it takes to train in a pack
    is in docs/extending.md.
    """

    free: ClassVar[tuple[str, ...]] = ()
    """Keys in which runs of a pack may differ."""

    critic_term: ClassVar[str | None] = None
    """Column of the history that tells what its critic sees; see `bie.metrics.critic_audit`."""

    scale: NonNegative

    @property
    def packs(self) -> bool:
        """Whether runs with it can train together."""
        return False


class Mine(PenaltySection):
    """The MINE penalty; see `bie.penalties.mine`."""

    free = ("scale", "lr", "ema")
    critic_term = "mine"

    critic: Literal["separable", "mlp", "mine_net", "mine_net2", "mine_net3", "mine_net4"]
    n_hidden: Count
    n_layers: Count
    batch_input: Literal["onehot", "raw"]
    latent: Literal["mean", "sample"]
    critic_training: Literal["adam", "none"]
    estimator: Literal["dv", "nwj", "infonce"]
    lr: Positive
    steps: Count
    ema: Annotated[Float, Field(gt=0, le=1)]
    warm_start: Annotated[Int, Field(ge=0)]

    @property
    def packs(self) -> bool:
        """Not with the critic of the 2019 study, which is drawn anew for every minibatch."""
        return self.critic_training != "none"

    @property
    def sees(self) -> Literal["onehot", "raw"]:
        """What the critic gets of a batch: for the separable one it is a column of scores."""
        return "onehot" if self.critic == "separable" else self.batch_input

    def inactive(self) -> dict[str, str]:
        """Some critics have an input or sizes of their own; one that does not train needs no way to do so."""
        own = {"separable": ["batch_input"], "mine_net3": ["n_layers"], "mine_net4": ["n_hidden", "n_layers"]}
        silent = dict.fromkeys(own.get(self.critic, []), f"critic={self.critic}")
        if self.critic_training == "none":
            training = ["latent", "estimator", "lr", "steps", "ema", "warm_start"]
            return silent | dict.fromkeys(training, "critic_training=none")
        return silent if self.estimator == "dv" else silent | {"ema": f"estimator={self.estimator}"}


class Mmd(PenaltySection):
    """The MMD penalty; see `bie.penalties.mmd`."""

    free = ("scale",)

    estimator: Literal["normal", "fast"]
    bandwidth: Literal["unit", "median", "multi"]
    pairs: Literal["consecutive", "all"]

    @property
    def packs(self) -> bool:
        """Not in linear time, where the cells of each batch are counted before shapes are known."""
        return self.estimator != "fast"


class Adversarial(PenaltySection):
    """The adversarial penalty; see `bie.penalties.adversarial`."""

    free = ("scale", "lr")
    critic_term = "cross_entropy"

    objective: Literal["reversal", "uniform", "wrong_class"]
    ramp: Literal["ganin", "constant"]
    n_hidden: Count
    n_layers: Count
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    lr: Positive
    steps: Count

    @property
    def packs(self) -> bool:
        """Always."""
        return True
