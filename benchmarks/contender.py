"""Contenders of the benchmarks of speed: each trains scVI in a process, an epoch whenever it is told to.

    PYTHON benchmarks/contender.py scvi-tools DATA.h5ad [ACCELERATOR]
    PYTHON benchmarks/contender.py bie DATA.h5ad [OVERRIDES ...]

Reads a line from standard input before every epoch and answers with a line of JSON. The environment of
scvi-tools needs nothing of bie.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.counts_like_pbmc import TRAIN_FRACTION

if TYPE_CHECKING:
    from bie.config import RunConfig


class Stopwatch:
    """Waits for the word to go on; tells how long the epoch took."""

    def __init__(self) -> None:
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever else prints

    def wait(self) -> None:
        if not sys.stdin.readline():
            os._exit(0)
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def tell(self, **facts: object) -> None:
        spent = {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}
        print(json.dumps(spent | facts), file=self.answers, flush=True)


def scvi_tools(path: str, accelerator: str = "cpu") -> None:
    import logging
    import warnings

    import anndata
    import lightning.pytorch as lightning
    import scvi
    import torch

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    watch = Stopwatch()
    version = f"scvi-tools {scvi.__version__}, torch {torch.__version__}"

    class Told(lightning.Callback):  # type: ignore[misc]
        def on_train_epoch_start(self, *_: object) -> None:
            watch.wait()

        def on_train_epoch_end(self, *_: object) -> None:
            if accelerator == "gpu":
                torch.cuda.synchronize()
            watch.tell(version=version)

    cells = anndata.read_h5ad(path)
    scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
    model = scvi.model.SCVI(cells)  # 1 x 128, 10 latent dimensions, ZINB, observed library
    model.train(
        max_epochs=10_000,
        train_size=TRAIN_FRACTION,
        batch_size=128,
        accelerator=accelerator,
        callbacks=[Told()],
        enable_progress_bar=False,
    )


def bie(path: str, overrides: list[str]) -> None:
    import torch

    import bie
    from bie import kernels

    torch.set_num_threads(1)
    watch, train = Stopwatch(), training(path, overrides)
    version = f"bie {bie.__version__}, torch {torch.__version__}, kernels: {kernels.status()}"
    for epoch in range(10_000):
        watch.wait()
        train(epoch)
        watch.tell(version=version)


def training(path: str, overrides: list[str]) -> Callable[[int], int]:
    """Trains an epoch of bie's model, counted from 0, and says how many steps it had."""
    import numpy as np

    from bie.config import Model
    from bie.data.load import load
    from bie.data.split import monte_carlo_split
    from bie.methods.trained import Trained
    from bie.seeds import Streams
    from bie.training.engine import engines
    from bie.training.run import Progress

    config = configured(path, overrides)
    cells = load(config.dataset)
    rows = monte_carlo_split(cells.n_cells, TRAIN_FRACTION, 0)
    assert isinstance(config.model, Model)
    embedder = Trained(config.model, config.penalty, config.train)
    run = Progress(embedder.run(cells, *rows, Streams(0), lambda row: None))
    engine = engines(cells, "cpu")([run])

    def epoch(number: int) -> int:
        parts = run.minibatches()
        engine.epoch(np.concatenate(parts)[None], [len(part) for part in parts], number)
        return len(parts)

    return epoch


def configured(path: str, overrides: list[str]) -> "RunConfig":
    """Configuration of a run on these data, on which bie's model is that of scvi-tools."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from bie.config import RunConfig

    fixed = ["dataset=h5ad", f"dataset.path={path}", "dataset.batch_key=batch", "model.library=observed"]
    with initialize_config_dir(str(Path(__file__).parents[1] / "conf"), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", [*fixed, *overrides]))
    assert isinstance(values, dict)
    return RunConfig.model_validate({str(k): v for k, v in values.items() if k in RunConfig.model_fields})


if __name__ == "__main__":
    kind, path, *rest = sys.argv[1:]
    scvi_tools(path, *rest) if kind == "scvi-tools" else bie(path, rest)
