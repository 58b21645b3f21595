"""Sections of experiments on sets of points, of which a vector each is learnt; see `bie.kinds.sets`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bie.config.base import Data, Method
from bie.config.sections import section
from bie.schema import Count, Float, Int, NonNegative, Positive


@section
class Sets(Data):
    """Sets of points of classes that differ in one respect; see `bie.kinds.point_sets`."""

    yields = "sets"

    source: Literal["sets"]
    differ: Literal["covariance", "shape"]
    transform: Literal["none", "standardise", "sphere"]
    reg: NonNegative
    n_sets: Annotated[Int, Field(ge=2, le=100)]
    n_points: Annotated[Int, Field(ge=2, le=100_000)]

    def inactive(self) -> dict[str, str]:
        """Only sphering is regularised."""
        return {} if self.transform == "sphere" else {"reg": f"transform={self.transform}"}


class Aggregator(Method):
    """Base of what makes one vector of a set."""

    takes = "sets"
    ignores: ClassVar[tuple[str, ...]] = ("train", "metrics", "split", "noise_seed", "cluster_seed")


@section
class SetMean(Aggregator):
    """The mean of the points."""

    ignores: ClassVar[tuple[str, ...]] = (*Aggregator.ignores, "init_seed", "order_seed")

    method: Literal["set_mean"]


@section
class DeepSets(Aggregator):
    """A network on each point, a sum, a network on the sum; see `bie.kinds.set_network`."""

    method: Literal["deep_sets"]
    n_hidden: Count
    n_projection: Count
    n_out: Annotated[Int, Field(ge=2, le=1000)]
    epochs: Count
    lr: Positive
    weight_decay: NonNegative
    temperature: Annotated[Float, Field(ge=0.001)]
    batch_size: Annotated[Int, Field(ge=2)]
    shuffle: bool
