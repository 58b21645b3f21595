"""Three steps of training against a model written out again with torch's own layers and distributions.

In double precision, where a difference of formula cannot hide behind rounding.
"""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial, Normal, kl_divergence

from bie.config import Model, Train
from bie.data.cells import Cells, canonical
from bie.models.scvi import Scvi
from bie.seeds import Streams
from bie.training.fit import fit
from bie.training.run import TrainingRun

N, G, B, HIDDEN, LATENT = 96, 30, 2, 12, 3
MODEL = Model.model_validate(
    {
        "name": "scvi",
        "n_latent": LATENT,
        "n_hidden": HIDDEN,
        "n_layers": 1,
        "dropout": 0.0,
        "likelihood": "zinb",
        "dispersion": "gene",
        "library": "modelled",
        "batch_covariate": True,
        "encode_covariates": False,
        "deeply_inject_covariates": True,
        "variance_floor": 1e-4,
    }
)
KL = {"mode": "beta", "warmup_epochs": 0, "weight": 0.5, "capacity": 0.0, "gamma": 0.0}
TRAIN = Train.model_validate(
    {"epochs": 1, "lr": 1e-2, "adam_eps": 0.01, "weight_decay": 1e-3, "batch_size": 32, "kl": KL}
)


class Reference(nn.Module):
    """scVI of one layer as its paper has it; slow, and nothing shared with ours."""

    def __init__(self, mean_b: Tensor, var_b: Tensor) -> None:
        super().__init__()
        self.mean_b, self.var_b = mean_b, var_b
        self.z_hidden, self.l_hidden = self.block(G), self.block(G)
        self.z_mean, self.z_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.l_mean, self.l_var = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, 1)
        self.hidden = self.block(LATENT + B)
        self.rho, self.pi = nn.Linear(HIDDEN, G), nn.Linear(HIDDEN, G)
        self.log_theta = nn.Parameter(torch.zeros(G))

    @staticmethod
    def block(n_in: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(n_in, HIDDEN), nn.BatchNorm1d(HIDDEN, eps=0.001, momentum=0.01), nn.ReLU()
        )

    def loss(self, x: Tensor, batch: Tensor, draw: torch.Generator) -> Tensor:
        h, h_l = self.z_hidden(torch.log(1 + x)), self.l_hidden(torch.log(1 + x))
        q_z = Normal(self.z_mean(h), torch.sqrt(torch.exp(self.z_var(h)) + 1e-4))
        q_l = Normal(self.l_mean(h_l), torch.sqrt(torch.exp(self.l_var(h_l)) + 1e-4))
        z = q_z.loc + q_z.scale * torch.randn(len(x), LATENT, generator=draw)
        library = q_l.loc + q_l.scale * torch.randn(len(x), 1, generator=draw)
        kl_z = kl_divergence(q_z, Normal(0.0, 1.0)).sum(1)
        prior = Normal(self.mean_b[batch][:, None], self.var_b[batch][:, None].sqrt())
        h_x = self.hidden(torch.cat([z, torch.eye(B).double()[batch]], 1))
        mu, theta = torch.exp(library) * torch.softmax(self.rho(h_x), 1), torch.exp(self.log_theta)
        negative_binomial = NegativeBinomial(theta, logits=torch.log(mu + 1e-8) - torch.log(theta))
        counted: Tensor = negative_binomial.log_prob(x)  # type: ignore[no-untyped-call]
        share = torch.sigmoid(self.pi(h_x))
        zero, positive = torch.log(share + (1 - share) * counted.exp()), torch.log(1 - share) + counted
        log_p = torch.where(x == 0, zero, positive).sum(1)
        return (-log_p + kl_divergence(q_l, prior).sum(1) + 0.5 * kl_z).mean()


def copied(model: Scvi, mean_b: Tensor, var_b: Tensor) -> Reference:
    """The reference with the weights of our model."""
    reference = Reference(mean_b, var_b).double()
    with torch.no_grad():
        for mine, other in zip(model.parameters(), ordered(reference), strict=True):
            other.copy_(mine.mT if other.ndim == 2 else mine[0])
    return reference


def ordered(reference: Reference) -> list[nn.Parameter]:
    """Parameters of the reference in the order of ours."""
    modules = [reference.z_hidden, reference.z_mean, reference.z_var]
    modules += [
        reference.l_hidden,
        reference.l_mean,
        reference.l_var,
        reference.hidden,
        reference.rho,
        reference.pi,
    ]
    theta_first = [reference.log_theta]
    encoders = [p for module in modules[:6] for p in module.parameters()]
    return encoders + theta_first + [p for module in modules[6:] for p in module.parameters()]


@pytest.fixture
def cells() -> Cells:
    random = np.random.default_rng(0)
    x = random.negative_binomial(1, 0.2, size=(N, G))
    names = (np.arange(N).astype(str), np.arange(G).astype(str))
    counts = canonical(sp.csr_matrix(x)).astype(np.float64)
    return Cells(counts, np.arange(N) % B, ("a", "b"), None, (), *names)


def test_three_steps_are_those_of_the_reference(cells: Cells) -> None:
    mean_b, var_b = (torch.from_numpy(moment).double() for moment in cells.library_moments())
    streams, rows = Streams(0), np.arange(N)
    model = Scvi(G, B, MODEL, mean_b, var_b, streams.torch("init")).double()
    reference = copied(model, mean_b, var_b)
    fit([TrainingRun(model, None, rows, rows[:2], TRAIN, streams)], cells)

    adam = torch.optim.Adam(reference.parameters(), lr=1e-2, eps=0.01, weight_decay=1e-3)
    draw, shuffled = streams.torch("noise"), streams.numpy("minibatch").permutation(rows)
    for part in shuffled.reshape(3, 32):
        x, batch = torch.from_numpy(cells.counts[part].toarray()), torch.from_numpy(cells.batch[part])
        adam.zero_grad()
        torch.autograd.backward(reference.loss(x, batch, draw))
        adam.step()

    start = Scvi(G, B, MODEL, mean_b, var_b, streams.torch("init")).double()
    for mine, other, first in zip(model.parameters(), ordered(reference), start.parameters(), strict=True):
        expected = other.mT if other.ndim == 2 else other[None]
        torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-8)
        assert not torch.allclose(first, expected, rtol=1e-6, atol=1e-8)
