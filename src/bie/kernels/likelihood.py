"""The heads of the decoder and the log-likelihood of counts under them, with their gradient, in one pass.

Defined by `bie.models.decoder` and `bie.models.likelihoods`.
"""

from functools import cached_property

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.counts import SparseCounts
from bie.kernels.layers import Affine, Inputs
from bie.kernels.native import Bound, bind, check_contiguous


class Likelihood:
    """Log-likelihood of the counts of n cells, with means ``exp(log_library) softmax(rho(h))``.

    The gradient of a weighted sum over the cells is made in the same pass. W.r.t. the parameters it is in
    ``parameter.grad``, as in `bie.kernels.layers`. With an optimiser the weights of the layers are updated in
    that pass, by the step that it has counted, and their gradient is not kept.

    Parameters
    ----------
    hidden, library
        Units of the last hidden layer, ``(n, h)``; log library size of each cell, ``(n, 1)``.
    log_theta_1g
        Log inverse dispersion of each gene.
    rho, pi
        Layers that give the logits of the proportions and of technical zeros, their weights gene by gene in
        memory. Without the latter the distribution is negative binomial.
    weight_n
        Of the cells in the sum.
    adam
        The optimiser.

    Attributes
    ----------
    value
        Log-likelihood of each cell, ``(n,)``, nats.
    """

    def __init__(
        self,
        hidden: Inputs,
        library: Inputs,
        log_theta_1g: Tensor,
        rho: Affine,
        pi: Affine | None,
        weight_n: Tensor,
        adam: CompiledAdam | None = None,
    ) -> None:
        self.hidden, self.library = hidden, library
        self.log_theta, self.weight_n, self.adam = log_theta_1g, weight_n, adam
        self.heads = [rho] if pi is None else [rho, pi]
        self.value = torch.empty(len(hidden.x))

    def forward(self, counts: SparseCounts, gradient: bool) -> None:
        """Make `value`, and the gradients if asked to."""
        (self._with_gradient if gradient else self._alone)(*counts.csc())

    @cached_property
    def _alone(self) -> Bound:
        heads = [[check_contiguous(head.weight.mT), head.bias, *[None] * 4] for head in self.heads]
        return self._bound(False, heads, [None] * 4)

    @cached_property
    def _with_gradient(self) -> Bound:
        grads = self.hidden.grad_x, self.library.grad_x, self.log_theta.grad
        heads = [self._with_its_gradient(head) for head in self.heads]
        return self._bound(True, heads, [*grads, self.adam.coefficients if self.adam else None])

    def _with_its_gradient(self, head: Affine) -> list[Tensor | None]:
        """A head and its gradients; with an optimiser the moments by which the weight learns at once."""
        weight, bias = check_contiguous(head.weight.mT), head.bias
        if self.adam:
            return [weight, bias, None, bias.grad, *(part.mT for part in self.adam.part(head.weight)[1:])]
        assert head.weight.grad is not None
        return [weight, bias, head.weight.grad.mT, bias.grad, None, None]

    def _bound(self, gradient: bool, heads: list[list[Tensor | None]], grads: list[Tensor | None]) -> Bound:
        n, k = self.hidden.x.shape
        given = self.library.x, self.weight_n, self.log_theta, self.hidden.x
        rho, pi = heads if len(heads) == 2 else (*heads, None)
        sizes = n, self.log_theta.shape[1], gradient, k
        return bind("log_likelihood", *sizes, *given, rho, pi, self.value, *grads)
