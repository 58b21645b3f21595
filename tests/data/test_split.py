import numpy as np
import pytest

from bie.data.split import monte_carlo_split
from bie.errors import BadInput


def test_test_cells_are_the_first_of_the_permutation() -> None:
    # numpy.random.seed(0); numpy.random.permutation(10), as every NumPy since 1.0 gives it
    permutation = [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    train, test = monte_carlo_split(10, 0.6, 0)
    assert test.tolist() == permutation[:4]
    assert train.tolist() == permutation[4:]


@pytest.mark.parametrize(("n_cells", "n_train"), [(11990, 7194), (5, 3), (7, 4), (4, 2)])
def test_number_of_training_cells_is_rounded_down(n_cells: int, n_train: int) -> None:
    train, test = monte_carlo_split(n_cells, 0.6, 2816127883)
    assert (train.size, test.size) == (n_train, n_cells - n_train)
    assert sorted([*train, *test]) == list(range(n_cells))


def test_same_seed_same_split_and_other_seed_another() -> None:
    first, again, other = (monte_carlo_split(100, 0.6, seed)[0] for seed in (7, 7, 8))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    monte_carlo_split(100, 0.6, 1)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]


@pytest.mark.parametrize(("fraction", "n_train"), [(0.001, 0), (0.01, 0), (0.05, 1)])
def test_too_few_to_train_are_refused(fraction: float, n_train: int) -> None:
    """One cell is no minibatch: a model would be recorded that nobody has trained."""
    with pytest.raises(
        BadInput, match=rf"fraction={fraction} leaves {n_train} of 20 .* At least 2 must train"
    ):
        monte_carlo_split(20, fraction, 0)
