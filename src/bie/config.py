"""The configuration of one run, section by section: typed, checked once, frozen.

The values live in ``conf/`` alone (no default is repeated here); types and allowed ranges live here
alone. `RunConfig` is what the experiment sees; below `bie.experiment` only its sections are passed on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bie.errors import BadInput
from bie.schema import LOCAL, Count, Float, Int, Name, NonNegative, Positive, Section, Share

_PRESETS = {"none": 0.0, "mild": 0.1, "strong": 0.6}
_SIZES = {"smoke": (400, 100), "small": (4000, 500), "pbmc": (12000, 3346)}

LogCounts = Annotated[Float, Field(ge=0, le=14)]  # e^14 counts in one gene still fit float32
LogSd = Annotated[Float, Field(ge=0, le=10)]


class Zinb(Section):
    """Simulated counts with known truth; see `bie.data.datasets.zinb`."""

    source: Literal["zinb"]
    name: Name
    preset: Annotated[Literal["none", "mild", "strong"], LOCAL]
    size: Annotated[Literal["smoke", "small", "pbmc"], LOCAL]
    n_cells: Annotated[Int, Field(ge=20)]
    n_genes: Annotated[Int, Field(ge=2)]
    n_types: Annotated[Int, Field(ge=1, le=200)]
    n_batches: Annotated[Int, Field(ge=2, le=200)]
    majority_share: Share
    composition_shift: Annotated[Float, Field(ge=0, le=1)]
    expression_shape: Positive
    type_share: Annotated[Float, Field(ge=0, le=1)]
    type_mean: Annotated[Float, Field(ge=-10, le=10)]
    type_sd: LogSd
    batch_sd: LogSd
    interaction_sd: LogSd
    library_mean: LogCounts
    library_sd: Annotated[Float, Field(ge=0, le=3)]
    library_shift: Annotated[Float, Field(ge=-5, le=5)]
    theta: Annotated[Float, Field(ge=0.01)]
    theta_sd: Annotated[Float, Field(ge=0, le=3)]
    zero_intercept: Float
    zero_slope: NonNegative
    zero_shift: Float
    seed: Annotated[Int, Field(ge=0, lt=2**32)]

    @model_validator(mode="before")
    @classmethod
    def _fill_from_presets(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Replace ``null`` by the number that the preset or size stands for.

        An unknown name is left to the check of its own field.
        """
        n_cells, n_genes = _SIZES.get(str(values.get("size")), _SIZES["small"])
        batch_sd = _PRESETS.get(str(values.get("preset")), 0.0)
        implied = {"batch_sd": batch_sd, "n_cells": n_cells, "n_genes": n_genes}
        return values | {key: value for key, value in implied.items() if values.get(key) is None}


class H5ad(Section):
    """A user's AnnData file with raw counts; its content, not its path, is its identity."""

    source: Literal["h5ad"]
    name: Name
    path: Annotated[Path, LOCAL]
    layer: Annotated[str | None, LOCAL]
    batch_key: Annotated[str, LOCAL]
    label_key: Annotated[str | None, LOCAL]


class Pbmc(Section):
    """The PBMC set of the scVI study (10x 8k and 4k)."""

    source: Literal["pbmc"]
    name: Name
    cache: Annotated[Path | None, LOCAL]


class Retina(Section):
    """The mouse retina set of the scVI study."""

    source: Literal["retina"]
    name: Name
    cache: Annotated[Path | None, LOCAL]


Dataset = Annotated[Zinb | H5ad | Pbmc | Retina, Field(discriminator="source")]


class Split(Section):
    """Monte Carlo split of the cells into training and test cells."""

    train_fraction: Share


class Model(Section):
    """The variational autoencoder."""

    name: Name
    n_latent: Annotated[Int, Field(ge=1, le=1000)]
    n_hidden: Annotated[Int, Field(ge=1, le=100_000)]
    n_layers: Annotated[Int, Field(ge=1, le=20)]
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    likelihood: Literal["zinb", "nb"]
    dispersion: Literal["gene"]
    library: Literal["modelled", "observed"]
    batch_covariate: bool
    variance_floor: NonNegative


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


class Train(Section):
    """Optimisation."""

    epochs: Count
    lr: Positive
    adam_eps: Positive
    weight_decay: NonNegative
    batch_size: Annotated[Int, Field(ge=2)]
    kl: Kl


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


class Kmeans(Section):
    """k-means behind the clustering scores."""

    n_init: Count


class BatchEntropy(Section):
    """Entropy of batch mixing; `pools` asks for the 2019 study's sampling of 100 cells a pool."""

    neighbours: Count
    pools: Count | None


class Metrics(Section):
    """How embeddings are scored."""

    kmeans: Kmeans
    be: BatchEntropy


class Save(Section):
    """What a run leaves behind besides its record."""

    model: bool
    embedding: bool


class RunConfig(Section):
    """Everything that one run needs to know."""

    dataset: Dataset
    split: Split
    model: Model
    train: Train
    mine: Mine | None = None
    mmd: Mmd | None = None
    adversarial: Adversarial | None = None
    metrics: Metrics
    seed: Annotated[Int, Field(ge=0, lt=2**32)]
    save: Annotated[Save, LOCAL]

    @property
    def penalty(self) -> tuple[str, Section] | None:
        """Name and settings of the model's penalty, None for plain scVI.

        The name is that of the section and of the module in `bie.penalties`.
        """
        return next(self._penalties(), None)

    def _penalties(self) -> Iterator[tuple[str, Section]]:
        return ((name, section) for name, section in self if isinstance(section, PenaltySection))

    @model_validator(mode="after")
    def _one_penalty(self) -> Self:
        names = [name for name, _ in self._penalties()]
        if len(names) > 1:
            raise BadInput(f"{', '.join(names)}: a model has one penalty; leave one section in its file")
        return self


class Local(Section):
    """Launcher: worker processes of one thread each; 0 workers run everything in the calling process."""

    workers: Annotated[Int, Field(ge=0, le=4096)] | None


class Hydra(Section):
    """The part of Hydra's own tree that bie reads."""

    launcher: Local


class Study(Section):
    """Name of the study and the sweep it stands for, as override texts."""

    name: Name
    sweep: tuple[str, ...]


class Settings(Section):
    """Where a launch writes and how it runs; no part of any run's identity."""

    outputs: Path
    version: Name
    study: Study
    hydra: Hydra
