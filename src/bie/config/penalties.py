"""Bases of the penalties' sections, each of which is in the module of its penalty."""

from typing import Any, ClassVar

from bie.config.sections import sections as marked
from bie.errors import BadInput
from bie.schema import Count, NonNegative, Positive, Section, Share


class PenaltySection(Section):
    """Base of the penalties' sections."""

    free: ClassVar[tuple[str, ...] | None] = None
    """Keys in which runs of a pack may differ (docs/extending.md); None: they train alone."""

    critic_term: ClassVar[str | None] = None
    """Column of the history that tells what its critic sees; see `bie.metrics.critic_audit`."""

    neutral: ClassVar[dict[str, Any]] = {"scale": 1.0}
    """Keys that a preference stands in for, and with which values the penalty is what it measures."""

    scale: NonNegative
    preference: Share | None = None

    @property
    def packs(self) -> bool:
        """Whether runs with it can train together."""
        return self.free is not None

    def inactive(self) -> dict[str, str]:
        """With a preference there is no weight to be set."""
        if self.preference is None:
            return {}
        return dict.fromkeys(self.neutral, f"preference={self.preference:g}")

    def check(self, epochs: int) -> None:
        """Raise `BadInput` if it would never act in a training of so many epochs."""
        if self.preference is not None and epochs < 2:
            name = type(self).__module__.rpartition(".")[2]
            raise BadInput(
                f"{name}.preference={self.preference:g} acts from the second epoch on; "
                f"train.epochs={epochs} must be 2 or more"
            )


class ClassifierSection(PenaltySection):
    """Base of the sections whose critic is a classifier of the batch."""

    free = ("scale", "lr")

    n_hidden: Count
    n_layers: Count
    lr: Positive
    steps: Count


def sections() -> dict[str, type[PenaltySection]]:
    """The section of each penalty, by the name of its module and of its key in the configuration."""
    return {schema.__module__.rpartition(".")[2]: schema for schema in marked(PenaltySection)}
