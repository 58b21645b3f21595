"""scVI in compiled kernels, on memory that stays where it is; defined by `bie.models.scvi.Scvi`.

A step of torch is a hundred small operations, each of which makes its result anew and takes longer to be
called than to be done. Here a model is bound once to the kernels of its two passes, for each
number of cells that comes, and a step is a dozen calls.
"""

from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from bie import kernels
from bie.kernels.adam import CompiledAdam, Part
from bie.kernels.counts import SparseCounts
from bie.kernels.layers import Affine
from bie.kernels.native import Bound, is_float32_cpu
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.passes import Passes
from bie.models.scvi import Scvi, Terms


def has_kernels(model: Scvi) -> bool:
    """Whether there are kernels for all of this model.

    They are for negative binomials, with extra zeros or without, with one dispersion a gene, in single
    precision on the CPU.
    """
    decoder = model.decoder
    known = decoder.likelihood in ("zinb", "nb") and decoder.dispersion == "gene"
    return known and kernels.is_active() and all(map(is_float32_cpu, model.parameters()))


class CompiledScvi:
    """An `Scvi` on sparse counts, whose two passes are called one after the other.

    Parameters
    ----------
    model
        Whose parameters these are; they must stay where they are in memory.
    adam
        The optimiser of its parameters, which then takes its step within the passes: it updates large weights
        as soon as their gradient is made, while both are in the caches. Without one the passes leave
        gradients in ``parameter.grad``. Terms and gradients lie in memory that the next call uses again.
    """

    def __init__(self, model: Scvi, adam: CompiledAdam | None = None) -> None:
        self.model, self.adam, self._parameters = model, adam, list(model.parameters())
        self._gradients: list[Tensor] = []
        self._passes: dict[int, Passes] = {}
        self._latest: tuple[Passes, SparseCounts] | None = None

    @torch.no_grad()
    def __call__(
        self, x_ng: SparseCounts, batch_n: Tensor, noise: Noise, label_n: Tensor | None = None
    ) -> Terms:
        """As `Scvi.forward`, without gradient."""
        passes, self._latest = self._of(x_ng), None
        passes.forward(x_ng, batch_n, noise, self.model.training, gradient=False)
        return passes.terms()

    @torch.no_grad()
    def forward(self, x_ng: SparseCounts, batch_n: Tensor, noise: Noise) -> Terms:
        """As `Scvi.forward` in training mode; what it makes of gradients on the way is part of a step."""
        self._attach()
        passes = self._of(x_ng)
        self._latest = passes, x_ng
        if self.adam:
            self.adam.begin_step()
        passes.forward(x_ng, batch_n, noise, training=True, gradient=True)
        return passes.terms()

    @torch.no_grad()
    def backward(
        self, kl_slope: float, grad_z_nd: Tensor | None = None, grad_mean_nd: Tensor | None = None
    ) -> None:
        """The backward pass of the step that `forward` began, and the optimiser's; see `Passes.backward`.

        Raises
        ------
        RuntimeError
            Nothing was begun, or something else was called since.
        """
        if self._latest is None:
            raise RuntimeError("forward has not been called just before")
        self._attach()
        (passes, x_ng), self._latest = self._latest, None
        passes.backward(x_ng, kl_slope, grad_z_nd, grad_mean_nd)
        if self.adam:
            self._update_others()

    @cached_property
    def _update_others(self) -> Bound:
        """Step of Adam for the parameters that are not updated within the passes (`fused_adam_rows`)."""
        assert self.adam is not None
        learned = fused_adam_rows(self.model)
        parts, gradients = list[Part](), list[Tensor]()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            begin = learned.get(parameter, 0)
            if begin < len(parameter):
                parts.append(self.adam.part(parameter).rows(begin, None))
                gradients.append(gradient[begin:])
        return self.adam.bound(parts, gradients)

    @torch.no_grad()
    def posterior_mean(self, x_ng: SparseCounts, batch_n: Tensor) -> Tensor:
        """As `Scvi.posterior_mean`, in evaluation mode."""
        passes, self._latest = self._of(x_ng), None
        passes.set_batches(batch_n)
        passes.encoder.forward(x_ng.log1p(), None, training=False)
        mean: Tensor = passes.encoder.normal.mean.clone()
        return mean

    def _attach(self) -> None:
        """Give the parameters their gradients back, in the memory that kernels are bound to.

        Somebody may have set ``parameter.grad`` to None, or to another tensor, in between.
        """
        if self._gradients and self._parameters[0].grad is self._gradients[0]:
            return
        self._gradients = self._gradients or [torch.empty_like(parameter) for parameter in self._parameters]
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def _of(self, x_ng: SparseCounts) -> "Passes":
        n = len(x_ng)
        if n not in self._passes:
            with torch.inference_mode(False):  # memory made in that mode would be of no use to training
                self._passes[n] = Passes(self.model, n, self.adam)
        return self._passes[n]


def fused_adam_rows(model: Scvi) -> dict[Tensor, int]:
    """Large parameters that Adam updates where their gradient is made; of each the number of first rows."""
    modelled = [model.library.encoder] if isinstance(model.library, ModelledLibrary) else []
    rows: dict[Tensor, int] = {}
    for encoder in (model.encoder, *modelled):
        rows[cast("Affine", encoder.hidden.linears[0]).weight] = encoder.n_genes
    for head in (model.decoder.log_proportion, model.decoder.zero_logit):
        if head is not None:
            rows[head.weight] = len(head.weight)
    return rows
