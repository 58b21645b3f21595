import numpy as np
import pytest
from sklearn.metrics import f1_score

from bie.metrics.classification import predicts, type_accuracy, type_f1


def test_a_classifier_that_knows_scores_one_and_a_constant_one_its_share() -> None:
    label_n = np.array([0, 0, 0, 3])
    assert type_accuracy(label_n, label_n) == type_f1(label_n, label_n) == 1
    constant_n = np.zeros(4, np.int64)
    assert type_accuracy(constant_n, label_n) == 0.75
    assert type_f1(constant_n, label_n) == pytest.approx(
        (2 * 3 / (2 * 3 + 1)) / 2
    )  # nothing of the rare type


def test_types_that_are_absent_here_do_not_count() -> None:
    label_n, predicted_n = np.array([0, 0, 1, 1]), np.array([0, 5, 1, 1])
    assert type_f1(predicted_n, label_n) == pytest.approx(
        f1_score([0, 0, 1, 1], [0, 2, 1, 1], average=None)[:2].mean()
    )


def test_other_models_predict_nothing() -> None:
    assert predicts(None) == "the model predicts no cell types"
    assert predicts(np.zeros(1, np.int64)) is None
