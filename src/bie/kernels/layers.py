"""Layers of the encoders and the decoder, both passes, on memory that stays where it is.

Defined by `bie.models.layers` and `bie.models.gaussian`, whose operations are so small that torch takes
longer to be called than to do them. A layer here is bound once to the memory of its inputs, its parameters
and their gradients: ``parameter.grad``, which must be there when the backward pass is first taken, and is
overwritten. Weights of counts, where there is an optimiser, learn as soon as their gradient is made, row by
row, by the step that it has counted. `ValueError` where the entries of a weight are not in order in memory.
"""

from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.counts import SparseCounts
from bie.kernels.native import Bound, bind, check_contiguous


class Affine(Protocol):
    """Weight ``(inputs, outputs)`` and bias ``(1, outputs)``; of a norm both ``(1, units)``."""

    weight: Tensor
    bias: Tensor


class Norm(Affine, Protocol):
    """Batch norm, with its running moments ``(1, units)``."""

    running_mean: Tensor
    running_variance: Tensor
    momentum: float
    eps: float


class Inputs(NamedTuple):
    """Input of a layer, and memory for the gradient w.r.t. it, which the layer writes, in the same shape."""

    x: Tensor
    grad_x: Tensor


class Hidden:
    """Linear layer, batch norm, ReLU, dropout of n cells.

    Parameters
    ----------
    n
        Cells.
    linear, norm
        The layers.
    keep_prob
        Probability that dropout keeps a unit in training, above 0 to 1.
    inputs, covariates
        What comes in, ``(n, k)``, None where it is counts; covariates ``(n, c)`` are the last of the inputs
        and get no gradient.
    adam
        The optimiser, where it is to be used at once.

    Attributes
    ----------
    outputs
        Hidden units, ``(n, units)``, with the gradient w.r.t. them, which the next layer writes and
        `backward` uses as working memory.
    """

    def __init__(
        self,
        n: int,
        linear: Affine,
        norm: Norm,
        keep_prob: float,
        inputs: Inputs | None,
        covariates: Tensor | None,
        adam: CompiledAdam | None = None,
    ) -> None:
        self.linear, self.norm, self.keep_prob, self.adam = linear, norm, keep_prob, adam
        self.inputs, self.covariates = inputs, covariates
        self.shape = n, linear.weight.shape[1]
        h, grad_h, self._normal = torch.empty(3, *self.shape)
        self.outputs = Inputs(h, grad_h)
        self._inverse_sd = torch.empty(self.shape[1])
        self._n_inputs = len(linear.weight) - (0 if covariates is None else covariates.shape[1])
        weight = check_contiguous(linear.weight)[: self._n_inputs]
        self._multiply = (
            bind("multiply", *self.shape, weight, self._normal)
            if inputs is None
            else _product(inputs.x, weight, self._normal)
        )
        others = linear.weight[self._n_inputs :]
        self._add = None if covariates is None else _product(covariates, others, self._normal, add=True)
        self._units = {training: self._forward(training) for training in (True, False)}

    def forward(
        self, training: bool, keep_nh: Tensor | None = None, counts: SparseCounts | None = None
    ) -> None:
        """Make the hidden units; `keep_nh` are ones and zeros for the units, None for no dropout."""
        self._multiply(*(() if counts is None else counts.csr()))
        if self._add:
            self._add()
        self._units[training](keep_nh)

    def backward(self, counts: SparseCounts | None = None) -> None:
        """Make the gradients w.r.t. parameters and inputs, after `forward` in training."""
        self._through_units()
        grad_weight, *others = self._grads
        grad_weight(*(() if counts is None else counts.csc()))
        for other in others:
            other()

    def _forward(self, training: bool) -> Bound:
        norm = self.norm
        parameters = self.linear.bias, norm.weight, norm.bias, norm.running_mean, norm.running_variance
        factor = 1 / self.keep_prob if training else 1.0
        numbers = training, norm.momentum, norm.eps
        made = self._inverse_sd, self.outputs.x
        return bind("hidden_forward", *self.shape, *numbers, self._normal, *parameters, factor, *made)

    @cached_property
    def _through_units(self) -> Bound:
        h, grad_h = self.outputs
        saved = self._normal, self.norm.weight, self._inverse_sd, h
        grads = grad_h, self.linear.bias.grad, self.norm.weight.grad, self.norm.bias.grad
        return bind("hidden_backward", *self.shape, True, *saved, 1 / self.keep_prob, *grads)

    @cached_property
    def _grads(self) -> list[Bound]:
        """Kernels that make the gradients w.r.t. the weights and the inputs."""
        gradient = self.linear.weight.grad
        assert gradient is not None
        n_inputs, grad_h = self._n_inputs, self.outputs.grad_x
        of_inputs, of_covariates = gradient[:n_inputs], gradient[n_inputs:]
        covariates = [] if self.covariates is None else [_product(self.covariates.mT, grad_h, of_covariates)]
        if self.inputs is None:
            learning = _learning(self.adam, self.linear.weight, n_inputs)
            grad_counts = bind("multiply_transposed", n_inputs, self.shape[1], grad_h, of_inputs, *learning)
            return [grad_counts, *covariates]
        grad_inputs = _product(grad_h, self.linear.weight[:n_inputs].mT, self.inputs.grad_x)
        return [_product(self.inputs.x.mT, grad_h, of_inputs), *covariates, grad_inputs]


def _learning(adam: CompiledAdam | None, weight: Tensor, n_rows: int) -> tuple[Tensor | None, ...]:
    """The first rows of a weight, their moments, the numbers of a step; or nothing."""
    return (None,) * 4 if adam is None else (*adam.part(weight).rows(0, n_rows), adam.coefficients)


def _product(left: Tensor, right: Tensor, product: Tensor, add: bool = False) -> Bound:
    """``left @ right``, or to be added to what is there."""
    shape = *product.shape, left.shape[1]
    return bind("matmul", *shape, left, *left.stride(), right, *right.stride(), add, product)


class Normal:
    """Normal distributions of n cells, a sample of each, and its divergence from a prior.

    Parameters
    ----------
    hidden
        Units of the last hidden layer, ``(n, k)``.
    mean, log_variance
        Linear layers; `floor` is added to the variances.

    Attributes
    ----------
    z, mean
        Samples and means, ``(n, d)``.
    kl
        Kullback-Leibler divergence from the prior, ``(n,)``, nats.
    prior_mean, prior_variance
        Of the prior, ``(n, d)``: standard normal until something else is written there.
    grad_z, grad_mean, grad_kl
        Gradients that `backward` finds there.
    """

    def __init__(self, hidden: Inputs, mean: Affine, log_variance: Affine, floor: float) -> None:
        n, k = hidden.x.shape
        d = mean.weight.shape[1]
        self.hidden, self.layers = hidden, (mean, log_variance)
        # apart, since autograd takes a change of a part for one of the whole
        self.z, self.mean, self.grad_z, self.grad_mean, self._variance = (torch.empty(n, d) for _ in range(5))
        self.kl, self.grad_kl = torch.empty(2, n)
        self.prior_mean, self.prior_variance = torch.zeros(n, d), torch.ones(n, d)
        self._numbers = n, k, d, floor
        parameters = (
            check_contiguous(mean.weight),
            mean.bias,
            check_contiguous(log_variance.weight),
            log_variance.bias,
        )
        outputs = self.mean, self._variance, self.z, self.kl
        self._forward = bind("normal_forward", *self._numbers, hidden.x, *parameters, *self._prior, *outputs)

    def forward(self, noise_nd: Tensor) -> None:
        """Make `z`, `mean` and `kl`, with these standard normal numbers."""
        self._noise_nd = noise_nd
        self._forward(noise_nd)

    def backward(self) -> None:
        """Make the gradients w.r.t. the parameters and the hidden layer."""
        self._backward(self._noise_nd)

    @property
    def _prior(self) -> tuple[Tensor, Tensor]:
        return self.prior_mean, self.prior_variance

    @cached_property
    def _backward(self) -> Bound:
        saved = (
            self.hidden.x,
            *(layer.weight for layer in self.layers),
            *self._prior,
            self.mean,
            self._variance,
        )
        grad_parameters = [part.grad for layer in self.layers for part in (layer.weight, layer.bias)]
        grads = self.grad_z, self.grad_mean, self.grad_kl, self.hidden.grad_x, *grad_parameters
        return bind("normal_backward", *self._numbers, *saved, *grads)
