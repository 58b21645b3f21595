"""Layers whose parameters keep a row axis, so that one definition serves one run and many.

Weights are (inputs, outputs), everything per output is (1, outputs), and every reduction counts its axes
from the right. Stacking the parameters of R runs on a leading axis (`torch.func.stack_module_state`)
therefore gives R models in one, without another line of model code.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from bie.models.noise import Noise


class Linear(nn.Module):
    """``x @ weight + bias``, initialised as `torch.nn.Linear` is: uniform within ±1/sqrt(n_in).

    Parameters
    ----------
    n_in, n_out
        Numbers of inputs and outputs.
    init
        Stream of the initial weights.
    by_output
        Whether the weights lie output by output in memory, which for genes is how kernels read them.
    """

    def __init__(self, n_in: int, n_out: int, init: torch.Generator, by_output: bool = False) -> None:
        super().__init__()
        bound = n_in**-0.5
        weight = torch.empty(n_in, n_out).uniform_(-bound, bound, generator=init)
        self.weight = nn.Parameter(weight.mT.contiguous().mT if by_output else weight)
        self.bias = nn.Parameter(torch.empty(1, n_out).uniform_(-bound, bound, generator=init))

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Map ``(..., n, n_in)`` to ``(..., n, n_out)``; covariates are the last of the inputs."""
        if covariates is None:
            return x @ self.weight + self.bias
        return torch.cat((x, covariates), -1) @ self.weight + self.bias


class BatchNorm(nn.Module):
    """Normalises each unit over the cells of the minibatch (Ioffe and Szegedy 2015).

    Equal to `torch.nn.BatchNorm1d` with scVI's momentum 0.01 and eps 0.001: in training by the moments of
    the minibatch (n >= 2 cells), in evaluation by their running averages.
    """

    momentum = 0.01
    eps = 0.001
    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, n_units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, n_units))
        self.bias = nn.Parameter(torch.zeros(1, n_units))
        self.register_buffer("running_mean", torch.zeros(1, n_units))
        self.register_buffer("running_variance", torch.ones(1, n_units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., n, n_units)`` to the same shape."""
        if x.ndim == 2:  # one run alone: what follows, in one operation
            moments = self.running_mean.view(-1), self.running_variance.view(-1)
            weight, bias = self.weight.view(-1), self.bias.view(-1)
            return batch_norm(x, *moments, weight, bias, self.training, self.momentum, self.eps)
        mean, variance = self._moments(x) if self.training else (self.running_mean, self.running_variance)
        return (x - mean) * (self.weight * (variance + self.eps).rsqrt()) + self.bias

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x, dim=-2, correction=0, keepdim=True)
        n = x.shape[-2]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance * (n / (n - 1)), self.momentum)
        return mean, variance


class HiddenLayers(nn.Module):
    """Linear, batch norm, ReLU, dropout, `n_layers` times; covariates enter at every layer or at the first.

    Parameters
    ----------
    n_in, n_hidden, n_layers
        Inputs, units of each layer, layers.
    init
        Stream of the initial weights.
    n_covariates
        Columns of the covariates.
    dropout
        Share of the units that is set to zero in training, the rest scaled up by 1/(1 - dropout).
    deep
        Whether covariates enter at every layer.
    """

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_layers: int,
        init: torch.Generator,
        n_covariates: int = 0,
        dropout: float = 0.0,
        deep: bool = True,
    ) -> None:
        super().__init__()
        widths = [n_in + n_covariates] + [n_hidden + deep * n_covariates] * (n_layers - 1)
        self.linears = nn.ModuleList(Linear(width, n_hidden, init) for width in widths)
        self.norms = nn.ModuleList(BatchNorm(n_hidden) for _ in widths)
        self.keep_prob, self.deep = 1 - dropout, deep

    def forward(self, h: Tensor, covariates: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """Map ``(..., n, n_in)`` to ``(..., n, n_hidden)``.

        Parameters
        ----------
        h
            Input of the first layer.
        covariates
            ``(..., n, n_covariates)``.
        noise
            Stream of the dropout masks; without it nothing is dropped.
        """
        noise = noise if self.training and self.keep_prob < 1 else None
        for layer, (linear, norm) in enumerate(zip(self.linears, self.norms, strict=True)):
            assert isinstance(linear, Linear)
            assert isinstance(norm, BatchNorm)
            h = norm(linear(h, covariates if self.deep or layer == 0 else None)).relu()
            h = h * noise.keep(h.shape, self.keep_prob) / self.keep_prob if noise else h
        return h
