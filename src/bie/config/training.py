"""Sections ``model`` and ``train``."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bie.config.base import About
from bie.schema import LOCAL, Count, Float, Int, Name, NonNegative, Positive, Section


class Model(Section):
    """The variational autoencoder."""

    takes: ClassVar[About] = "cells"

    name: Name
    n_latent: Annotated[Int, Field(ge=1, le=1000)]
    n_hidden: Annotated[Int, Field(ge=1, le=100_000)]
    n_layers: Annotated[Int, Field(ge=1, le=20)]
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    likelihood: Literal["zinb", "nb", "poisson", "gaussian"]
    dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"]
    library: Literal["modelled", "observed"]
    batch_covariate: bool
    encode_covariates: bool
    deeply_inject_covariates: bool
    variance_floor: NonNegative

    def inactive(self) -> dict[str, str]:
        """A Poisson count has no dispersion; the covariates of one layer enter at all layers."""
        inactive = {}
        if self.likelihood == "poisson":
            inactive["dispersion"] = "likelihood=poisson"
        if self.n_layers == 1:
            inactive["deeply_inject_covariates"] = "n_layers=1"
        elif not (self.batch_covariate or self.encode_covariates):
            inactive["deeply_inject_covariates"] = "batch_covariate=false"
        return inactive


class Kl(Section):
    """Weight of the KL term of z over the epochs."""

    mode: Literal["warmup", "beta", "capacity"]
    warmup_epochs: Annotated[Int, Field(ge=0)]
    weight: NonNegative
    capacity: NonNegative
    gamma: NonNegative

    def inactive(self) -> dict[str, str]:
        """Each mode reads some of the keys only."""
        acting = {
            "warmup": {"warmup_epochs", "weight"},
            "beta": {"weight"},
            "capacity": {"warmup_epochs", "capacity", "gamma"},
        }[self.mode]
        return dict.fromkeys(type(self).model_fields.keys() - acting - {"mode"}, f"mode={self.mode}")


LOOKS = 25
"""Epochs after which a history has terms of test cells, about, where nobody says how many."""


class Train(Section):
    """Optimisation."""

    epochs: Count
    lr: Positive
    adam_eps: Positive
    weight_decay: NonNegative
    batch_size: Annotated[Int, Field(ge=2)]
    evaluate_every: Annotated[Annotated[Int, Field(ge=1)] | None, LOCAL] = None
    kl: Kl

    def looks_at_test_cells(self, epoch: int) -> bool:
        """Whether the history tells of test cells after the epoch counted from 0; no other number differs."""
        every = self.evaluate_every or max(1, self.epochs // LOOKS)
        return epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == self.epochs
