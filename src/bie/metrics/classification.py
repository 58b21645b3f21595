"""Does the model tell the cell types of cells whose label it has not seen? For models that predict types."""

import numpy as np

from bie.metrics.metric import Card, Codes, metric
from bie.metrics.needs import labelled

_F1 = "Opitz & Burst 2019, arXiv:1911.03347"
_ACCURACY = "Zhang et al. 2018, arXiv:1710.09412"


def predicts(predicted_n: Codes | None) -> str | None:
    """The model predicts cell types."""
    return "the model predicts no cell types" if predicted_n is None else None


@metric(
    Card("type accuracy", "higher", (0.0, 1.0), "", _ACCURACY, headline=True, optional=True),
    predicts,
    labelled,
)
def type_accuracy(predicted_n: Codes, label_n: Codes) -> float:
    """Share of the cells whose type is predicted correctly, 0 to 1.

    The model has seen the labels of some training cells, which count among the others.
    """
    return float((predicted_n == label_n).mean())


@metric(
    Card("type F1", "higher", (0.0, 1.0), "", _F1, headline=True, optional=True),
    predicts,
    labelled,
)
def type_f1(predicted_n: Codes, label_n: Codes) -> float:
    """Macro-F1 over the types present: the mean of ``2 TP / (2 TP + FP + FN)``, so that rare types count."""
    from sklearn.metrics import f1_score

    present = np.unique(label_n)
    return float(f1_score(label_n, predicted_n, labels=present, average="macro", zero_division=0))
