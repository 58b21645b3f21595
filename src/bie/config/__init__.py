"""The configuration of one run, section by section: typed, checked once, frozen.

The values live in ``conf/`` alone (no default is repeated here); types and allowed ranges live here
alone. `RunConfig` is what the experiment sees; below `bie.experiment` only its sections are passed on.
"""

from bie.config.base import About, Data, Method
from bie.config.controls import AnyModel, Control
from bie.config.datasets import Dataset, Factors, H5ad, Pbmc, Retina, Source, Tenx, Zinb
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
    "AnyModel",
    "BatchEntropy",
    "Control",
    "Data",
    "Dataset",
    "Estimator",
    "ExpressedGenes",
    "ExpressionProportion",
    "Factors",
    "H5ad",
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
    "Pbmc",
    "PenaltySection",
    "Perturbation",
    "Resources",
    "Retina",
    "RunConfig",
    "Save",
    "Settings",
    "Site",
    "Source",
    "Split",
    "Study",
    "SubmititLocal",
    "SubmititSlurm",
    "Tenx",
    "Train",
    "Untouched",
    "Zinb",
    "launcher_kind",
]
