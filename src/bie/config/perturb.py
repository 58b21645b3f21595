"""Section ``perturb``: what is done to the cells of one batch on purpose; see `bie.data.perturb`."""

from typing import Annotated, Literal

from pydantic import Field

from bie.schema import Count, Float, Int, Positive, Section, Share


class Untouched(Section):
    """Nothing is done."""

    kind: Literal["none"]


class _Drawn(Section):
    """What is done to one batch, by random draws."""

    batch: Annotated[Int, Field(ge=0)]
    seed: Annotated[Int, Field(ge=0, lt=2**32)]


class LibrarySize(_Drawn):
    """Other total counts."""

    kind: Literal["library_size"]
    ratio: Positive
    as_2020: bool


class ExpressedGenes(_Drawn):
    """Fewer expressed genes."""

    kind: Literal["expressed_genes"]
    ratio: Annotated[Float, Field(gt=0, le=1)]


class ExpressionProportion(_Drawn):
    """Other proportions of some genes."""

    kind: Literal["expression_proportion"]
    ratio: Positive
    zero_share: Share
    top_genes: Count
    as_2020: bool

    def inactive(self) -> dict[str, str]:
        """In 2020 the ratio said which batch was changed."""
        return {"batch": "as_2020=true"} if self.as_2020 else {}


Perturbation = Annotated[
    Untouched | LibrarySize | ExpressedGenes | ExpressionProportion, Field(discriminator="kind")
]
