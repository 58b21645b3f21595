"""The configuration of one run, section by section: typed, checked once, frozen.

The values live in ``conf/`` alone (no default is repeated here); types and allowed ranges live here
alone. `RunConfig` is what the experiment sees; below `bie.experiment` only its sections are passed on.
"""

from bie.config.base import About, Control, Data, Method
from bie.config.datasets import Source
from bie.config.launch import Hydra, Settings, Study
from bie.config.launchers import Launcher, Local, Resources, Site, SubmititLocal, SubmititSlurm, launcher_kind
from bie.config.metrics import BatchEntropy, Kmeans, Metrics
from bie.config.pairs import Estimator, Pairs
from bie.config.penalties import PenaltySection
from bie.config.perturb import (
    ExpressedGenes,
    ExpressionProportion,
    LibrarySize,
    Perturbation,
    Untouched,
)
from bie.config.run import RunConfig, Save, Split
from bie.config.training import Kl, Model, Train

__all__ = [
    "About",
    "BatchEntropy",
    "Control",
    "Data",
    "Estimator",
    "ExpressedGenes",
    "ExpressionProportion",
    "Hydra",
    "Kl",
    "Kmeans",
    "Launcher",
    "LibrarySize",
    "Local",
    "Method",
    "Metrics",
    "Model",
    "Pairs",
    "PenaltySection",
    "Perturbation",
    "Resources",
    "RunConfig",
    "Save",
    "Settings",
    "Site",
    "Source",
    "Split",
    "Study",
    "SubmititLocal",
    "SubmititSlurm",
    "Train",
    "Untouched",
    "launcher_kind",
]
