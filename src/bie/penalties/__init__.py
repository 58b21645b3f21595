"""Penalties on the dependence of the latent vector on the batch: the only places where models differ.

Each penalty is a module of this package with a function
``build(settings, n_latent, n_batches, streams) -> Penalty``; its name is the name of the module and of its
section of the configuration.
"""

from importlib import import_module

from bie.config.penalties import PenaltySection
from bie.penalties.base import Penalty
from bie.penalties.preference import Preference
from bie.seeds import Streams


def build_penalty(
    penalty: tuple[str, PenaltySection] | None, n_latent: int, n_batches: int, streams: Streams
) -> Penalty | None:
    """Build the penalty of a run.

    Parameters
    ----------
    penalty
        Name and settings (`bie.config.RunConfig.penalty`), or None.
    n_latent, n_batches
        Latent dimensions of the model, batches of the data.
    streams
        Of the run; a penalty draws its initial weights from ``penalty init``.

    Returns
    -------
    Penalty | None
        None for a model without penalty.
    """
    if penalty is None:
        return None
    name, settings = penalty
    if settings.preference is not None:
        settings = settings.model_copy(update=settings.neutral)
    built: Penalty = import_module(f"bie.penalties.{name}").build(settings, n_latent, n_batches, streams)
    built.name = name
    built.preference = None if settings.preference is None else Preference(settings.preference)
    return built
