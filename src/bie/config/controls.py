"""Section ``model`` where nothing is trained here: controls, and methods of other packages.

`method` tells these sections apart; the variational autoencoder's has none.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from bie.config import pairs, sets
from bie.config.base import Method
from bie.config.training import Model
from bie.schema import Count, Float, Int, NonNegative, Positive


class Control(Method):
    """Base of the sections of what embeds cells."""

    n_latent: Annotated[Int, Field(ge=1, le=1000)]


class Noise(Control):
    """See `bie.methods.noise`."""

    method: Literal["noise"]


class BatchOnly(Control):
    """See `bie.methods.batch_only`."""

    method: Literal["batch_only"]
    sd: Positive


class LabelsOnly(Control):
    """See `bie.methods.labels_only`."""

    method: Literal["labels_only"]
    sd: Positive


class Pca(Control):
    """See `bie.methods.pca`."""

    method: Literal["pca"]


class Shuffled(Control):
    """See `bie.methods.shuffled`."""

    method: Literal["shuffled"]
    within: Literal["all", "batch", "type"]


class Harmony(Control):
    """See `bie.methods.harmony`."""

    method: Literal["harmony"]
    theta: NonNegative
    iterations: Count


class ScviTools(Control):
    """See `bie.methods.scvi_tools`."""

    method: Literal["scvi_tools"]
    n_hidden: Count
    n_layers: Count
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    likelihood: Literal["zinb", "nb", "poisson"]
    library: Literal["modelled", "observed"]
    epochs: Count
    warmup_epochs: Count
    lr: Positive
    weight_decay: NonNegative
    batch_size: Annotated[Int, Field(ge=2)]


class Classifier(Control):
    """See `bie.methods.classifier`."""

    method: Literal["classifier"]
    training: Literal["plain", "mixup", "ict"]
    per_type: Count
    input: Literal["components", "counts"]
    n_components: Count
    n_hidden: Count
    steps: Count
    lr: Positive
    weight_decay: NonNegative
    alpha: Positive
    batch_size: Annotated[Int, Field(ge=2)]
    consistency: NonNegative
    ramp: Annotated[Float, Field(gt=0, le=1)]
    teacher_decay: Annotated[Float, Field(ge=0, lt=1)]

    def inactive(self) -> dict[str, str]:
        """Only mixtures have shares, only consistency has unlabelled cells and a teacher."""
        cause = f"training={self.training}"
        silent = {} if self.training == "ict" else dict.fromkeys(_OF_CONSISTENCY, cause)
        silent |= {"alpha": cause} if self.training == "plain" else {}
        return silent | ({} if self.input == "components" else {"n_components": f"input={self.input}"})


_OF_CONSISTENCY = ("batch_size", "consistency", "ramp", "teacher_decay")


def _method(section: Any) -> str:
    given = section if isinstance(section, dict) else vars(section)
    return str(given.get("method", "vae"))


AnyModel = Annotated[
    Annotated[Model, Tag("vae")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[BatchOnly, Tag("batch_only")]
    | Annotated[LabelsOnly, Tag("labels_only")]
    | Annotated[Pca, Tag("pca")]
    | Annotated[Shuffled, Tag("shuffled")]
    | Annotated[Harmony, Tag("harmony")]
    | Annotated[ScviTools, Tag("scvi_tools")]
    | Annotated[Classifier, Tag("classifier")]
    | Annotated[pairs.Critic, Tag("critic")]
    | Annotated[pairs.Neighbours, Tag("neighbours")]
    | Annotated[pairs.Sklearn, Tag("sklearn")]
    | Annotated[sets.DeepSets, Tag("deep_sets")]
    | Annotated[sets.SetMean, Tag("set_mean")],
    Discriminator(_method),
]
