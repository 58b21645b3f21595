"""What the sections ``dataset`` and ``model`` have whatever an experiment is about."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bie.schema import Int, Name, Section

About = Literal["cells", "pairs", "sets"]
"""What experiments are about: cells (`bie.experiment`), or a module of `bie.kinds`."""


class Data(Section):
    """Base of the sections ``dataset``; the field `source` tells them apart."""

    yields: ClassVar[About] = "cells"

    name: Name
    source: str


class Method(Section):
    """Base of the sections ``model`` other than the variational autoencoder's; `method` tells them apart.

    Attributes
    ----------
    takes
        What its data have to be.
    ignores
        Root keys without effect on it.
    """

    takes: ClassVar[About] = "cells"
    ignores: ClassVar[tuple[str, ...]] = ("train", "init_seed", "order_seed", "noise_seed")

    name: Name
    method: str


class Control(Method):
    """Base of the sections of what embeds cells."""

    n_latent: Annotated[Int, Field(ge=1, le=1000)]
