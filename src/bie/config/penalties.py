"""Sections of the penalties."""

from typing import Annotated, Literal

from pydantic import Field

from bie.schema import Count, Float, NonNegative, Positive, Section


class PenaltySection(Section):
    """Base of the penalties' sections, which `RunConfig` has one field for each, named as the module."""

    scale: NonNegative


class Mine(PenaltySection):
    """The MINE penalty; see `bie.penalties.mine`."""

    critic: Literal["mlp"]
    n_hidden: Count
    n_layers: Count
    lr: Positive
    steps: Count
    ema: Annotated[Float, Field(gt=0, le=1)]


class Mmd(PenaltySection):
    """The MMD penalty; see `bie.penalties.mmd`."""

    estimator: Literal["normal", "fast"]
    bandwidth: Literal["unit", "median", "multi"]
    pairs: Literal["consecutive", "all"]


class Adversarial(PenaltySection):
    """The adversarial penalty; see `bie.penalties.adversarial`."""

    objective: Literal["reversal", "uniform", "wrong_class"]
    ramp: Literal["ganin", "constant"]
    n_hidden: Count
    n_layers: Count
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    lr: Positive
    steps: Count
