"""A classifier of cell types that sees the labels of few cells, trained plainly or on mixtures of cells.

Training on mixtures asks for predictions that change linearly between cells:

- *mixup* (Zhang et al. 2018, arXiv:1710.09412): two labelled cells are mixed, ``g x_i + (1 - g) x_j`` with
  g ~ Beta(alpha, alpha), and so are their labels;
- *interpolation consistency* (Verma et al. 2019, arXiv:1903.03825): two unlabelled cells are mixed, and the
  target is the mixture of what a moving average of the classifier (its teacher) says of each:
  ``L = L_labelled + w(t) |p(mix(u_i, u_j)) - mix(p'(u_i), p'(u_j))|^2``, w growing from 0.

All see the same labels at the same seed, and begin with the same weights.
"""

import copy
import itertools
import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.data.components import log_normalised, principal_components, totals
from bie.errors import BadInput
from bie.methods.base import Embedder, Latent, Row, Rows
from bie.models.layers import Linear
from bie.schema import Count, Float, Int, NonNegative, Positive
from bie.seeds import Streams


@section
class ClassifierSection(Control):
    """Section ``model``."""

    method: Literal["classifier"]
    training: Literal["plain", "mixup", "ict"]
    per_type: Count
    input: Literal["components", "counts"]
    n_components: Count
    n_hidden: Count
    steps: Count
    lr: Positive
    weight_decay: NonNegative
    alpha: Positive
    batch_size: Annotated[Int, Field(ge=2)]
    consistency: NonNegative
    ramp: Annotated[Float, Field(gt=0, le=1)]
    teacher_decay: Annotated[Float, Field(ge=0, lt=1)]

    def inactive(self) -> dict[str, str]:
        """Only mixtures have shares, only consistency has unlabelled cells and a teacher."""
        cause = f"training={self.training}"
        of_consistency = ("batch_size", "consistency", "ramp", "teacher_decay")
        unused = {} if self.training == "ict" else dict.fromkeys(of_consistency, cause)
        unused |= {"alpha": cause} if self.training == "plain" else {}
        return unused | ({} if self.input == "components" else {"n_components": f"input={self.input}"})


class Classifier(Embedder):
    """Input, a hidden layer, the embedding, the types; ReLU between.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: ClassifierSection) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` without labels."""
        if cells.label is None:
            raise BadInput(
                f"model={self.settings.name}: the cells have no labels. Name their column, "
                "dataset.label_key=..., or use another model"
            )

    def fit(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> list[Row]:
        """Learn from few labels and, by consistency, from the other training cells; there are no epochs."""
        assert cells.label is not None  # see `check`
        self._learn_input(cells, train, streams)
        seen = few(cells.label, train, self.settings.per_type, streams.numpy("labelled"))
        x_nd, label_n = self._input(cells, seen), torch.from_numpy(cells.label[seen].copy())
        target_nk = one_hot(label_n, cells.n_labels).float()
        init = streams.torch("classifier init")
        sizes = (x_nd.shape[1], self.settings.n_hidden, self.settings.n_latent, cells.n_labels)
        *body, head = _layers(sizes, init)
        self._body, self._head = nn.Sequential(*body), head
        self._train(x_nd, target_nk, self._input(cells, train), streams)
        return []

    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Values of the last hidden layer."""
        with torch.no_grad():
            found: Latent = self._body(self._input(cells, rows)).numpy()
        return found

    def classify(self, cells: Cells, rows: Rows) -> NDArray[np.int64]:
        """The most probable type of each cell."""
        with torch.no_grad():
            found: NDArray[np.int64] = self._head(self._body(self._input(cells, rows))).argmax(1).numpy()
        return found

    def _learn_input(self, cells: Cells, train: Rows, streams: Streams) -> None:
        """Find components, and mean and spread of the input, on all training cells.

        All dimensions are divided by one number; each by its own would raise noise to the rank of the rest.
        """
        self._pca, self._total = None, float(np.median(totals(cells.counts[train])))
        self._mean_d, self._scale = np.zeros(1), 1.0
        if self.settings.input == "components":
            n_components = min(self.settings.n_components, len(train) - 1, cells.n_genes - 1)
            y_ng = log_normalised(cells.counts[train], self._total)
            self._pca = principal_components(y_ng, n_components, streams.integer("control"))
        x_nd = self._input(cells, train).double().numpy()
        self._mean_d = x_nd.mean(axis=0)
        self._scale = float(x_nd.var(axis=0).mean()) ** 0.5 or 1.0

    def _input(self, cells: Cells, rows: Rows) -> Tensor:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            y_ng = log_normalised(cells.counts[rows], self._total)
            y_nd = y_ng.toarray() if self._pca is None else self._pca.transform(y_ng)
        return torch.from_numpy(((y_nd - self._mean_d) / self._scale).astype(np.float32))

    def _train(self, x_nd: Tensor, target_nk: Tensor, unlabelled_nd: Tensor, streams: Streams) -> None:
        settings, draws = self.settings, streams.numpy("classifier steps")
        network = nn.Sequential(self._body, self._head)
        teacher = copy.deepcopy(network)
        decay = settings.weight_decay
        optimiser = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=decay)
        for step in range(settings.steps):
            mixed_nd, mixed_nk = x_nd, target_nk
            if settings.training == "mixup":
                share, other = _mixing(len(x_nd), settings.alpha, draws)
                mixed_nd, mixed_nk = mix(x_nd, x_nd[other], share), mix(target_nk, target_nk[other], share)
            loss = cross_entropy(network(mixed_nd), mixed_nk)
            if settings.training == "ict":
                size = min(settings.batch_size, len(unlabelled_nd))
                u_nd = unlabelled_nd[draws.choice(len(unlabelled_nd), size, replace=False)]
                weight = settings.consistency * ramp(step / settings.steps, settings.ramp)
                loss = loss + weight * consistency_loss(network, teacher, u_nd, settings.alpha, draws)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            _move_average(teacher, network, settings.teacher_decay)


def few(label_n: NDArray[np.int64], rows: Rows, per_type: int, rng: np.random.Generator) -> Rows:
    """Some rows of each type, `per_type` of them or all that there are."""
    order = rng.permutation(rows)
    chosen = [order[label_n[order] == label][:per_type] for label in np.unique(label_n[order])]
    return np.concatenate(chosen)


def mix(a: Tensor, b: Tensor, share: float) -> Tensor:
    """``share`` of one and the rest of the other."""
    return share * a + (1 - share) * b


def ramp(progress: float, end: float) -> float:
    """Growth from 0 to 1 until `progress` is `end`: ``exp(-5 (1 - t)^2)`` (Laine & Aila 2017)."""
    t = 1.0 if progress >= end else progress / end
    return math.exp(-5 * (1 - t) ** 2)


def consistency_loss(
    network: nn.Module, teacher: nn.Module, u_nd: Tensor, alpha: float, draws: np.random.Generator
) -> Tensor:
    """Mean squared difference between predictions of mixed cells and mixed predictions of the teacher.

    Parameters
    ----------
    network, teacher
        From cells ``(n, d)`` to logits ``(n, k)``.
    u_nd
        Unlabelled cells.
    alpha
        Of the Beta distribution of the share.
    draws
        Stream of the share and of the partners.
    """
    share, other = _mixing(len(u_nd), alpha, draws)
    with torch.no_grad():
        teacher_nk = teacher(u_nd).softmax(1)
        target_nk = mix(teacher_nk, teacher_nk[other], share)
    predicted_nk = network(mix(u_nd, u_nd[other], share)).softmax(1)
    return mse_loss(predicted_nk, target_nk)


def _mixing(n: int, alpha: float, draws: np.random.Generator) -> tuple[float, Tensor]:
    """A share ~ Beta(alpha, alpha) for all n cells, and the row of the partner of each."""
    return float(draws.beta(alpha, alpha)), torch.from_numpy(draws.permutation(n))


def _move_average(teacher: nn.Module, network: nn.Module, decay: float) -> None:
    """Take the network's parameters into the teacher's, their exponential moving average."""
    with torch.no_grad():
        for mean, new in zip(teacher.parameters(), network.parameters(), strict=True):
            mean.mul_(decay).add_(new, alpha=1 - decay)


def _layers(sizes: tuple[int, ...], init: torch.Generator) -> list[nn.Module]:
    """Linear layers with ReLU between them."""
    first, *rest = (Linear(*pair, init) for pair in itertools.pairwise(sizes))
    return [first, *(module for layer in rest for module in (nn.ReLU(), layer))]


build = Classifier
