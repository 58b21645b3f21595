"""The whole configuration of one run."""

from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from bie.config import pairs, penalties, sets  # noqa: F401 (`sections` finds those of pairs and of sets)
from bie.config.base import About, Data, Method
from bie.config.metrics import Metrics
from bie.config.penalties import PenaltySection
from bie.config.perturb import Perturbation, Untouched
from bie.config.sections import sections
from bie.config.training import Model, Train
from bie.errors import BadInput
from bie.schema import LOCAL, Int, Section, Share
from bie.seeds import SEEDS


class Split(Section):
    """Monte Carlo split of the cells into training and test cells."""

    train_fraction: Share


class Save(Section):
    """What a run leaves behind besides its record."""

    model: bool
    embedding: bool


Seed = Annotated[Int, Field(ge=0, lt=2**32)]


def _word(schema: type[Section], field: str) -> str:
    """The one value of the field that tells a section from the others."""
    return str(get_args(schema.model_fields[field].annotation)[0])


def _method(section: Any) -> str:
    given = section if isinstance(section, dict) else vars(section)
    return str(given.get("method", "vae"))


if TYPE_CHECKING:
    Dataset = Data
    AnyModel = Model | Method
else:
    methods = [Annotated[schema, Tag(_word(schema, "method"))] for schema in sections(Method)]
    Dataset = Annotated[reduce(or_, sections(Data)), Field(discriminator="source")]
    AnyModel = Annotated[reduce(or_, methods, Annotated[Model, Tag("vae")]), Discriminator(_method)]
"""The sections ``dataset`` and ``model``, told apart by `source` and by `method`."""


class Training(Section):
    """What is trained on what."""

    dataset: Dataset
    perturb: Perturbation = Untouched(kind="none")
    split: Split
    model: AnyModel
    train: Train


if TYPE_CHECKING:
    Penalised = Training
else:
    fields = {name: (schema | None, None) for name, schema in penalties.sections().items()}
    Penalised = create_model("Penalised", __base__=Training, **fields)
"""Besides, a section for each module of `bie.penalties`, all None but at most one."""


class RunConfig(Penalised):
    """Everything that one run needs to know."""

    metrics: Metrics
    seed: Seed
    split_seed: Seed | None = None
    init_seed: Seed | None = None
    order_seed: Seed | None = None
    noise_seed: Seed | None = None
    cluster_seed: Seed | None = None
    save: Annotated[Save, LOCAL]

    @property
    def own_seeds(self) -> dict[str, int]:
        """The sources of variance that have a seed of their own, by key; the others follow ``seed``."""
        return {key: value for key in SEEDS if (value := getattr(self, key)) is not None}

    @property
    def penalty(self) -> tuple[str, PenaltySection] | None:
        """Name and settings of the model's penalty, None for plain scVI.

        The name is that of the section and of the module in `bie.penalties`.
        """
        return next(self._penalties(), None)

    def _penalties(self) -> Iterator[tuple[str, PenaltySection]]:
        held = ((name, getattr(self, name)) for name in _penalty_fields(type(self)))
        return ((name, section) for name, section in held if section is not None)

    def inactive(self) -> dict[str, str]:
        """Not every model reads every section; cells that nothing is done to are those of the data set."""
        inactive = {"perturb": "perturb=none"} if isinstance(self.perturb, Untouched) else {}
        if isinstance(self.model, Model):
            return inactive
        return inactive | dict.fromkeys(self.model.ignores, f"model={self.model.name}")

    @model_validator(mode="after")
    def _model_takes_the_data(self) -> Self:
        held, taken = self.dataset.yields, self.model.takes
        if held != taken:
            raise BadInput(
                f"model={self.model.name} takes {taken}, dataset={self.dataset.name} holds {held}. "
                f"Models of {held}: {', '.join(_models(held))}; "
                f"data sets of {taken}: {', '.join(_datasets(taken))}"
            )
        if held != "cells" and not isinstance(self.perturb, Untouched):
            name = self.dataset.name
            raise BadInput(f"perturb={self.perturb.kind} acts on cells, dataset={name} holds {held}")
        return self

    @model_validator(mode="after")
    def _one_penalty(self) -> Self:
        names = [name for name, _ in self._penalties()]
        if names and isinstance(self.model, Method):
            raise BadInput(
                f"{names[0]}: model.method={self.model.method} trains nothing that it could act on"
            )
        if len(names) > 1:
            raise BadInput(f"{', '.join(names)}: a model has one penalty; leave one section in its file")
        return self

    @model_validator(mode="after")
    def _likelihood_has_a_density(self) -> Self:
        kept = vars(self.dataset).get("fractional") == "keep"
        likelihood = vars(self.model).get("likelihood", "gaussian")
        if kept and likelihood != "gaussian":
            raise BadInput(
                f"dataset.fractional=keep: model.likelihood={likelihood} gives a probability to whole counts "
                "alone. Use model.likelihood=gaussian, or dataset.fractional=round"
            )
        return self

    @model_validator(mode="after")
    def _penalty_acts(self) -> Self:
        for _, section in self._penalties():
            section.check(self.train.epochs)
        return self


@cache
def _penalty_fields(schema: type[RunConfig]) -> tuple[str, ...]:
    """Fields that hold a penalty's section; looked at once, as 100,000 configurations may be checked."""
    held = {
        name: get_args(field.annotation) or (field.annotation,) for name, field in schema.model_fields.items()
    }
    return tuple(name for name, kinds in held.items() if any(map(_is_penalty, kinds)))


def _is_penalty(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, PenaltySection)


def _models(about: About) -> list[str]:
    """The models of such data."""
    named = [_word(schema, "method") for schema in sections(Method) if schema.takes == about]
    return [*(["scvi"] if Model.takes == about else []), *named]


def _datasets(about: About) -> list[str]:
    """The data sets that hold such data."""
    return [_word(schema, "source") for schema in sections(Data) if schema.yields == about]
