"""How many runs fit into the memory of a GPU, by a generous estimate."""

import torch

from bie.config import Model
from bie.data.cells import Cells
from bie.experiment import Experiment, split, streams_of, with_genes
from bie.methods.trained import Trained

NUMBER = torch.float32.itemsize
MATRICES = 40
"""Matrices of cells x genes that a minibatch of one run is reckoned to need at most, gradients included."""
COPIES = 8
"""Copies of a run's parameters: gradient, moments, what a step needs beside them."""


def room(run: Experiment, cells: Cells, free: float) -> int:
    """How many such runs fit into so many bytes of a device, 1 at least, by a generous estimate."""
    cells = with_genes(run.config, cells)
    return max(1, int((free - bytes_of_cells(cells)) // bytes_of_run(run, cells)))


def bytes_of_cells(cells: Cells) -> int:
    """What all the counts take of a device, once for all runs."""
    return NUMBER * cells.n_cells * cells.n_genes


def bytes_of_run(run: Experiment, cells: Cells) -> int:
    """What a run is reckoned to take beside the counts."""
    settings = run.config.model
    assert isinstance(settings, Model)  # controls are not packed
    parts = split(run.config, cells)
    embedder = Trained(settings, run.config.penalty, run.config.train)
    trained = embedder.run(cells, parts["train"], parts["test"], streams_of(run.config), run.on_epoch)
    modules = (trained.model, trained.penalty) if trained.penalty else (trained.model,)
    n_parameters = sum(parameter.numel() for module in modules for parameter in module.parameters())
    width = cells.n_genes + (settings.n_layers + 1) * settings.n_hidden  # masks, of many steps at once
    activations = MATRICES * max(run.config.train.batch_size, 128) * width
    return NUMBER * (COPIES * n_parameters + activations)
