"""How well fresh classifiers ("probes") find the batch in the embedding of cells that they have not seen.

A penalty's own critic is a poor witness: where it has given up, a new one may still find the batch (Elazar &
Goldberg 2018). The probes are a logistic regression and, since what is linear overlooks what bends, a network
with two hidden layers of 64 units; both see the latent vectors standardised by mean and variance of the cells
that they are fitted on. Each decides in two ways: for the most probable batch, and for the batch whose
probability rises most above its share, as balanced class weights would. The worst case counts, the maximum
over these four.

Test cells are judged by probes fitted on all training cells, training cells in two halves, each by probes
fitted on the other. Cells of a batch that the probes have not seen are not judged.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import not_collapsed, probed, two_batches, unjudged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sklearn.base import ClassifierMixin

Probabilities = NDArray[np.float64]

_ELAZAR = "Elazar & Goldberg 2018, doi:10.18653/v1/D18-1002"
_FAWCETT = "Fawcett 2006, doi:10.1016/j.patrec.2005.10.010"


@metric(
    Card("probe F1", "lower", (0.0, 1.0), "", _ELAZAR, headline=True),
    two_batches,
    probed,
    not_collapsed,
    caveats=(unjudged,),
)
def probe_f1(probe_pnb: Probabilities, judged_batch_n: Codes) -> float:
    """Macro-F1 of the better probe: 1 where the batch can be read off, `probe_f1_random` where it cannot.

    The mean over the batches present of ``2 TP / (2 TP + FP + FN)``, of whichever probe and decision gives
    most.

    Parameters
    ----------
    probe_pnb
        From `probe`.
    judged_batch_n
        Batches of the cells that were judged.
    """
    return float(f1_by_batch(probe_pnb, judged_batch_n)[1].mean())


@metric(
    Card("probe AUC", "lower", (0.0, 1.0), "", _FAWCETT),
    two_batches,
    probed,
    not_collapsed,
    caveats=(unjudged,),
)
def probe_auc(probe_pnb: Probabilities, judged_batch_n: Codes) -> float:
    """Area under the ROC curve of the better probe: 1 where the batch can be read off, about 0.5 where not.

    Each batch against all others, averaged over the batches present (Fawcett 2006). Where there is nothing to
    read off, the choice of the better probe makes it a little more than 0.5: of 160 cells .52 ± .03.
    """
    present = np.unique(judged_batch_n)
    return max(
        np.mean([_auc(judged_batch_n == b, chance_nb[:, b]) for b in present]).item()
        for chance_nb in probe_pnb
    )


def _auc(is_batch_n: NDArray[np.bool_], chance_n: NDArray[np.float64]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney); scikit-learn takes 15 times as long."""
    from scipy.stats import rankdata

    n_in, n_out = is_batch_n.sum(), (~is_batch_n).sum()
    return float((rankdata(chance_n)[is_batch_n].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))


@metric(Card("probe F1, null", "none", (0.0, 1.0), "", _ELAZAR), two_batches, probed, caveats=(unjudged,))
def probe_f1_random(probe_of_noise_pnb: Probabilities, judged_batch_n: Codes) -> float:
    """`probe_f1` of latent vectors that know nothing: draws of N(0, I) in the place of the embedding.

    About 1 / 2 for two batches of equal size; it depends on the shares of the batches and on luck.
    """
    return float(f1_by_batch(probe_of_noise_pnb, judged_batch_n)[1].mean())


def f1_by_batch(probe_pnb: Probabilities, judged_batch_n: Codes) -> tuple[Codes, NDArray[np.float64]]:
    """The batches present, and the F1 of each by whichever probe and decision gives the largest mean."""
    present = np.unique(judged_batch_n)
    of_probes = [_f1(judged_batch_n, chance_nb.argmax(axis=1), present) for chance_nb in probe_pnb]
    return present, max(of_probes, key=np.mean)


def _f1(batch_n: Codes, guess_n: Codes, present: Codes) -> NDArray[np.float64]:
    """F1 of each batch that is present; scikit-learn takes forty times as long for the same numbers."""
    hits, members, guesses = (
        np.bincount(codes, minlength=present[-1] + 1)[present]
        for codes in (batch_n[guess_n == batch_n], batch_n, guess_n)
    )
    f1_b: NDArray[np.float64] = 2 * hits / (members + guesses)
    return f1_b


def judged(batch_n: Codes, fitted_batch_n: Codes | None) -> NDArray[np.bool_]:
    """Cells of a batch of which probes have seen others: in training, or in the other half of these."""
    if fitted_batch_n is None:
        return np.bincount(batch_n)[batch_n] > 1
    return np.isin(batch_n, fitted_batch_n)


def probe(
    z_nd: Embedding,
    batch_n: Codes,
    n_batches: int,
    fitted: tuple[Embedding, Codes] | None,
    seed: int,
) -> Probabilities:
    """Probabilities of the batches of cells, from probes that have not seen these cells.

    Parameters
    ----------
    z_nd, batch_n
        The cells that are judged.
    fitted
        Latent vectors and batches of the cells on which the probes are fitted; None: `z_nd` in two halves
        with the same share of each batch, each judged by the other.
    seed
        Of the halves, the initial weights and the minibatches.

    Returns
    -------
    NDArray[float64]
        ``probe_pnb``: two probes, and the same two with each probability divided by the batch's share;
        rows sum to 1.
    """
    if fitted is not None:
        return _fitted_probes(*fitted, z_nd, n_batches, seed)
    second_n = _halves(batch_n, np.random.default_rng(seed))
    probe_pnb = np.empty((4, len(z_nd), n_batches))
    for judged in (second_n, ~second_n):
        probe_pnb[:, judged] = _fitted_probes(z_nd[~judged], batch_n[~judged], z_nd[judged], n_batches, seed)
    return probe_pnb


def _halves(batch_n: Codes, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Every second cell of a random order of each batch."""
    order = rng.permutation(len(batch_n))
    order = order[np.argsort(batch_n[order], kind="stable")]
    second_n = np.zeros(len(batch_n), bool)
    second_n[order[1::2]] = True
    return second_n


def _fitted_probes(
    fitted_nd: Embedding, fitted_batch_n: Codes, z_nd: Embedding, n_batches: int, seed: int
) -> Probabilities:
    """Fit both probes on some cells and ask them about others; batches without a cell get probability 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(fitted_nd)
    present, size_b = np.unique(fitted_batch_n, return_counts=True)
    plain_pnb = np.zeros((2, len(z_nd), n_batches))
    for chance_nb, classifier in zip(plain_pnb, _classifiers(seed), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a probe's passes are few on purpose
            classifier.fit(scaler.transform(fitted_nd), fitted_batch_n)
        chance_nb[:, present] = classifier.predict_proba(scaler.transform(z_nd))
    raised_pnb = np.zeros_like(plain_pnb)
    raised_pnb[:, :, present] = plain_pnb[:, :, present] / size_b
    raised_pnb /= raised_pnb.sum(axis=2, keepdims=True)
    return np.concatenate([plain_pnb, raised_pnb])


def _classifiers(seed: int) -> "Iterator[ClassifierMixin]":
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    yield LogisticRegression()
    yield MLPClassifier((64, 64), alpha=1.0, learning_rate_init=3e-3, max_iter=30, random_state=seed)
