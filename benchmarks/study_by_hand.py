"""The script that a user of scvi-tools and scikit-learn would write for a small study; needs nothing of bie.

    PYTHON benchmarks/study_by_hand.py DATA.h5ad EPOCHS SEED [SEED ...]

One process for all seeds; model and training are scvi-tools' defaults, on the training cells of a split by
seed. The scores are among those that bie gives by itself, by scikit-learn: silhouette of types, k-means with
200 starts and its agreement with them, entropy of batch mixing among 50 neighbours, silhouette of batches
within types, probes for the batch, parts of the loss; for train and test cells. Prints a line of JSON a seed.
"""

import json
import logging
import os
import sys
import warnings
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import anndata
import numpy as np
import scvi
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    adjusted_rand_score,
    confusion_matrix,
    f1_score,
    normalized_mutual_info_score,
    roc_auc_score,
    silhouette_score,
)
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier

TRAIN = 0.6


def main() -> None:
    path, epochs, *seeds = sys.argv[1:]
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    cells = anndata.read_h5ad(path)
    for seed in map(int, seeds):
        print(json.dumps(run(cells, int(epochs), seed)), flush=True)


def run(cells: Any, epochs: int, seed: int) -> dict[str, dict[str, float]]:
    scvi.settings.seed = seed
    order = np.random.default_rng(seed).permutation(cells.n_obs)
    parts = {"train": order[: int(TRAIN * len(order))], "test": order[int(TRAIN * len(order)) :]}
    scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
    model = scvi.model.SCVI(cells)
    model.train(
        max_epochs=epochs,
        datasplitter_kwargs={"external_indexing": list(parts.values())},
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
    )
    z = model.get_latent_representation()
    batch = cells.obs["batch"].cat.codes.to_numpy()
    label = cells.obs["cell_type"].cat.codes.to_numpy()
    probes = [p.fit(z[parts["train"]], batch[parts["train"]]) for p in classifiers(seed)]
    found = {}
    for part, rows in parts.items():
        scores = latent_scores(z[rows], label[rows], batch[rows], seed)
        guesses = [probe.predict_proba(z[rows]) for probe in probes]
        scores["probe_f1"] = max(f1_score(batch[rows], g.argmax(1), average="macro") for g in guesses)
        scores["probe_auc"] = max(roc_auc_score(batch[rows], g[:, 1]) for g in guesses)
        scores["elbo"] = float(model.get_elbo(indices=rows))
        scores["reconstruction"] = float(model.get_reconstruction_error(indices=rows)["reconstruction_loss"])
        found[part] = scores
    return found


def classifiers(seed: int) -> list[Any]:
    """A linear one, and a network of two layers."""
    return [
        LogisticRegression(max_iter=500, class_weight="balanced"),
        MLPClassifier((64, 64), random_state=seed, early_stopping=True),
    ]


def latent_scores(z: Any, label: Any, batch: Any, seed: int) -> dict[str, float]:
    kinds = len(np.unique(label))
    cluster = KMeans(kinds, n_init=200, random_state=seed).fit_predict(z)
    table = confusion_matrix(label, cluster)
    rows, columns = linear_sum_assignment(-table)
    neighbour = NearestNeighbors(n_neighbors=51).fit(z).kneighbors(z, return_distance=False)[:, 1:]
    of_batch = np.stack([(batch[neighbour] == code).mean(1) for code in np.unique(batch)])
    within = [silhouette_score(z[label == kind], batch[label == kind]) for kind in np.unique(label)]
    return {
        "asw": float(silhouette_score(z, label)),
        "nmi": float(normalized_mutual_info_score(label, cluster)),
        "ari": float(adjusted_rand_score(label, cluster)),
        "uca": float(table[rows, columns].sum() / len(label)),
        "be": float(entropy(of_batch).mean()),
        "silhouette_batch": float(np.mean([1 - abs(value) for value in within])),
    }


if __name__ == "__main__":
    main()
