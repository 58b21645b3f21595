#!/usr/bin/env bash
# scvi-tools 1.4.2 (and 1.5.1): on large data the weight of the KL term never gets near 1.
#
# Two defaults meet. The KL term is warmed up over 400 epochs (`n_epochs_kl_warmup`), however long the training;
# the training lasts 400 epochs up to 20,000 cells and 8,000,000 / cells beyond (`get_max_epochs_heuristic`). So the
# larger the data, the earlier the training ends within the warm-up: the models of an atlas and of a pilot study by
# the same call differ in their objective, and the one of the atlas is nearly an autoencoder.
# Seen: 400 epochs at 20,000 cells, 80 at 100,000, 8 at 1,000,000; of these 8, the last weight in the history is 0.01.
# What helps: plan_kwargs={"n_epochs_kl_warmup": ...} of about half of max_epochs.
source "$(dirname "$0")/environment.bash"
packages scvi-tools==1.4.2 torch==2.13.0 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
import logging

import anndata, numpy, pandas, scvi
from scvi.model._utils import get_max_epochs_heuristic

logging.disable(logging.WARNING)
epochs = {n: get_max_epochs_heuristic(n) for n in (20_000, 100_000, 1_000_000)}
counts = numpy.random.default_rng(0).poisson(2, (200, 30)).astype("float32")
data = anndata.AnnData(counts, obs=pandas.DataFrame({"batch": ["x", "y"] * 100}, index=[f"c{i}" for i in range(200)]))
scvi.model.SCVI.setup_anndata(data, batch_key="batch")
model = scvi.model.SCVI(data)
model.train(max_epochs=epochs[1_000_000], accelerator="cpu", enable_progress_bar=False)
weight = float(numpy.ravel(model.history["kl_weight"])[-1])
print(f"scvi-tools {scvi.__version__}: epochs by number of cells {epochs}; last weight of the KL term {weight:.4f}")
assert epochs == {20_000: 400, 100_000: 80, 1_000_000: 8}
assert weight < 0.025
END
