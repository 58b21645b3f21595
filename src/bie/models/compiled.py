"""scVI in compiled kernels, on memory that stays where it is; defined by `bie.models.scvi.Scvi`.

A step of torch is a hundred small operations, each of which makes its result anew and takes longer to be
called than to be done. Here a model is bound once to the kernels of its two passes, for each
number of cells that comes, and a step is a dozen calls.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie import kernels
from bie.kernels.counts import SparseCounts
from bie.kernels.layers import Affine, Hidden, Inputs, Norm, Normal
from bie.kernels.likelihood import Likelihood
from bie.kernels.native import fits
from bie.models.gaussian import Encoder
from bie.models.layers import HiddenLayers
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms


def has_kernels(model: Scvi) -> bool:
    """Whether there are kernels for all of this model.

    They are for negative binomials, with extra zeros or without, with one dispersion a gene, in single
    precision on the CPU.
    """
    decoder = model.decoder
    known = decoder.likelihood in ("zinb", "nb") and decoder.dispersion == "gene"
    return known and kernels.is_active() and all(map(fits, model.parameters()))


class CompiledScvi:
    """An `Scvi`, to be called as it is, but with sparse counts.

    A loss may be followed back that takes the mean of the reconstruction over the cells, in training mode,
    and from the latest call only. Gradients replace what is in ``parameter.grad``, in memory that the next
    step uses again.

    Parameters
    ----------
    model
        Whose parameters these are; they must stay where they are in memory.
    """

    def __init__(self, model: Scvi) -> None:
        self.model, self._parameters = model, list(model.parameters())
        self._gradients: list[Tensor] = []
        self._passes: dict[int, Passes] = {}
        self._leaf = torch.empty(0, requires_grad=True)  # else autograd would see nothing to follow
        self.latest: SparseCounts | None = None

    def __call__(
        self, x_ng: SparseCounts, batch_n: Tensor, noise: Noise, label_n: Tensor | None = None
    ) -> Terms:
        """As `Scvi.forward`."""
        passes = self._of(x_ng)
        if torch.is_grad_enabled() and self.model.training:
            return Terms(*_Passes.apply(self, passes, x_ng, batch_n, noise, self._leaf))  # type: ignore[no-untyped-call]
        passes.forward(x_ng, batch_n, noise, self.model.training, gradient=False)
        return passes.terms()

    def posterior_mean(self, x_ng: SparseCounts, batch_n: Tensor) -> Tensor:
        """As `Scvi.posterior_mean`, in evaluation mode."""
        passes = self._of(x_ng)
        passes.see(batch_n)
        passes.encoder.forward(x_ng.log1p(), None, training=False)
        mean: Tensor = passes.encoder.normal.mean.clone()
        return mean

    def attach(self) -> None:
        """Let the parameters have their gradients."""
        self._gradients = self._gradients or [torch.empty_like(parameter) for parameter in self._parameters]
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def _of(self, x_ng: SparseCounts) -> "Passes":
        self.latest, n = x_ng, len(x_ng)
        if n not in self._passes:
            with torch.inference_mode(False):  # memory made in that mode would be of no use to training
                self._passes[n] = Passes(self.model, n)
        return self._passes[n]


class _Passes(Function):
    @staticmethod
    def forward(
        ctx: Any,
        compiled: CompiledScvi,
        passes: "Passes",
        x_ng: SparseCounts,
        batch_n: Tensor,
        noise: Noise,
        leaf: Tensor,
    ) -> Terms:
        compiled.attach()
        passes.forward(x_ng, batch_n, noise, training=True, gradient=True)
        ctx.compiled, ctx.passes, ctx.x_ng = compiled, passes, x_ng
        return tuple(passes.terms())  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by: Tensor) -> tuple[None, ...]:
        if ctx.compiled.latest is not ctx.x_ng:
            raise RuntimeError("other cells went forward since")
        ctx.compiled.attach()
        ctx.passes.backward(Terms(*by))
        return (None,) * 6


class Passes:
    """Both passes of a model for n cells."""

    x_ng: SparseCounts

    def __init__(self, model: Scvi, n: int) -> None:
        self.batch_nb = torch.zeros(n, model.n_batches)
        self.encoder = EncoderPasses(model.encoder, n, self.batch_nb)
        self.modelled = model.library if isinstance(model.library, ModelledLibrary) else None
        self.log_library, self.kl_library = Inputs(*torch.empty(2, n, 1)), torch.zeros(n)
        if self.modelled:
            self.library = EncoderPasses(self.modelled.encoder, n, self.batch_nb)
            normal = self.library.normal
            normal.by_mean.zero_()  # nobody sees it
            self.log_library, self.kl_library = Inputs(normal.z, normal.by_z), normal.kl
        decoder, z = model.decoder, self.encoder.normal.z
        self.by_z = torch.empty_like(z)
        covariates = self.batch_nb if decoder.sees_batch else None
        self.hidden = hidden_layers(decoder.hidden, n, Inputs(z, self.by_z), covariates)
        assert isinstance(decoder.log_theta, Tensor)
        heads = cast("Affine", decoder.log_proportion), cast("Affine | None", decoder.zero_logit)
        self.weight_n = torch.full((n,), -1.0) / n
        inputs = self.hidden[-1].outputs, self.log_library
        self.likelihood = Likelihood(*inputs, decoder.log_theta, *heads, self.weight_n)

    def see(self, batch_n: Tensor) -> None:
        """These are the batches of the cells."""
        self.batch_nb.zero_().scatter_(1, batch_n.unsqueeze(1), 1.0)

    def forward(
        self, x_ng: SparseCounts, batch_n: Tensor, noise: Noise, training: bool, gradient: bool
    ) -> None:
        """Make `terms`, and with `gradient` those gradients that come with them."""
        self.x_ng = x_ng
        self.see(batch_n)
        self.encoder.forward(x_ng.log1p(), noise, training)
        if self.modelled:
            torch.mm(self.batch_nb, self.modelled.mean_b1, out=self.library.normal.prior_mean)
            torch.mm(self.batch_nb, self.modelled.variance_b1, out=self.library.normal.prior_variance)
            self.library.forward(x_ng.log1p(), noise, training)
        else:
            torch.log(x_ng.total().unsqueeze(-1), out=self.log_library.x)
        for layer in self.hidden:
            layer.forward(training)
        self.likelihood.forward(x_ng, gradient)

    def terms(self) -> Terms:
        """What the last forward pass gave, in memory of its own."""
        normal = self.encoder.normal
        own = normal.z, normal.mean, normal.kl, self.kl_library
        z_nd, mean_nd, kl_z_n, kl_library_n = (tensor.clone() for tensor in own)
        return Terms(z_nd, mean_nd, -self.likelihood.value, kl_z_n, kl_library_n)

    def backward(self, by: Terms) -> None:
        """Make the gradients by all parameters from those by the terms."""
        if not torch.equal(by.reconstruction_n, -self.weight_n):
            raise ValueError("the loss has to take the mean of the reconstruction over the cells")
        for layer in reversed(self.hidden):
            layer.backward()
        normal = self.encoder.normal
        torch.add(self.by_z, by.z_nd, out=normal.by_z)
        normal.by_mean.copy_(by.mean_nd)
        normal.by_kl.copy_(by.kl_z_n)
        self.encoder.backward(self.x_ng.log1p())
        if self.modelled:
            self.library.normal.by_kl.copy_(by.kl_library_n)
            self.library.backward(self.x_ng.log1p())


class EncoderPasses:
    """Both passes of an encoder for n cells."""

    def __init__(self, encoder: Encoder, n: int, batch_nb: Tensor) -> None:
        covariates = batch_nb if encoder.sees_batch else None
        self.share = encoder.hidden.keep
        self.hidden = hidden_layers(encoder.hidden, n, None, covariates, self.share)
        layers = cast("Affine", encoder.mean), cast("Affine", encoder.log_variance)
        self.normal = Normal(self.hidden[-1].outputs, *layers, encoder.variance_floor)

    def forward(self, log_x_ng: SparseCounts, noise: Noise | None, training: bool) -> None:
        """Make what `normal` holds; its samples are its means without noise."""
        counts: SparseCounts | None = log_x_ng
        for layer in self.hidden:
            drops = noise is not None and training and self.share < 1
            keep_nh = noise.keep(layer.shape, self.share) if noise and drops else None
            layer.forward(training, keep_nh, counts)
            counts = None
        shape = self.normal.z.shape
        self.normal.forward(noise.normal(shape) if noise else torch.zeros(shape))

    def backward(self, log_x_ng: SparseCounts) -> None:
        """Make the gradients by the parameters from those that `normal` holds."""
        self.normal.backward()
        first, *others = self.hidden
        for layer in reversed(others):
            layer.backward()
        first.backward(log_x_ng)


def hidden_layers(
    layers: HiddenLayers, n: int, inputs: Inputs | None, covariates: Tensor | None, share: float = 1.0
) -> list[Hidden]:
    """The layers for n cells, each with the outputs of the one before as inputs."""
    bound: list[Hidden] = []
    for linear, norm in zip(layers.linears, layers.norms, strict=True):
        seen = covariates if layers.deep or not bound else None
        bound.append(Hidden(n, cast("Affine", linear), cast("Norm", norm), share, inputs, seen))
        inputs = bound[-1].outputs
    return bound
