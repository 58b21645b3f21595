"""Both passes of scVI in kernels, bound once for each number of cells to memory that stays where it is."""

from typing import cast

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.counts import SparseCounts
from bie.kernels.layers import Affine, Hidden, Inputs, Norm, Normal
from bie.kernels.likelihood import Likelihood
from bie.models.gaussian import Encoder
from bie.models.layers import HiddenLayers
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms


class Passes:
    """Both passes of a model for n cells; with an optimiser `fused_adam_rows` of it learn on the way."""

    def __init__(self, model: Scvi, n: int, adam: CompiledAdam | None) -> None:
        self.batch_nb, self._codes_bb = torch.empty(n, model.n_batches), torch.eye(model.n_batches)
        self.encoder = EncoderPasses(model.encoder, n, self.batch_nb, adam)
        self.modelled = model.library if isinstance(model.library, ModelledLibrary) else None
        self.log_library, self.kl_library = Inputs(*torch.empty(2, n, 1)), torch.zeros(n)
        if self.modelled:
            self.library = EncoderPasses(self.modelled.encoder, n, self.batch_nb, adam)
            normal = self.library.normal
            normal.grad_mean.zero_()  # the mean enters the loss by sample and KL alone
            normal.grad_kl.fill_(1 / n)
            self.log_library, self.kl_library = Inputs(normal.z, normal.grad_z), normal.kl
        decoder, normal = model.decoder, self.encoder.normal
        covariates = self.batch_nb if decoder.sees_batch else None
        self.hidden = hidden_layers(decoder.hidden, n, Inputs(normal.z, normal.grad_z), covariates)
        assert isinstance(decoder.log_theta, Tensor)
        heads = cast("Affine", decoder.log_proportion), cast("Affine | None", decoder.zero_logit)
        inputs, weight_n = (self.hidden[-1].outputs, self.log_library), torch.full((n,), -1.0) / n
        self.likelihood = Likelihood(*inputs, decoder.log_theta, *heads, weight_n, adam)

    def set_batches(self, batch_n: Tensor) -> None:
        """Write the one-hot batches of the cells where the kernels read them."""
        torch.index_select(self._codes_bb, 0, batch_n, out=self.batch_nb)

    def forward(
        self, x_ng: SparseCounts, batch_n: Tensor, noise: Noise, training: bool, gradient: bool
    ) -> None:
        """Make `terms`, and with `gradient` those gradients that come with them."""
        self.set_batches(batch_n)
        self.encoder.forward(x_ng.log1p(), noise, training)
        if self.modelled:
            torch.mm(self.batch_nb, self.modelled.mean_b1, out=self.library.normal.prior_mean)
            torch.mm(self.batch_nb, self.modelled.variance_b1, out=self.library.normal.prior_variance)
            self.library.forward(x_ng.log1p(), noise, training)
            self.library.normal.z.clamp_(max=self.modelled.most)
        else:
            torch.log(x_ng.total().unsqueeze(-1), out=self.log_library.x)
        for layer in self.hidden:
            layer.forward(training)
        self.likelihood.forward(x_ng, gradient)

    def terms(self) -> Terms:
        """What the last forward pass gave, in memory that the next one uses again."""
        normal, value = self.encoder.normal, self.likelihood.value
        given = normal.z, normal.mean, value.neg(), normal.kl, self.kl_library
        return Terms(*(tensor.detach() for tensor in given))

    def backward(
        self, x_ng: SparseCounts, kl_slope: float, grad_z_nd: Tensor | None, grad_mean_nd: Tensor | None
    ) -> None:
        """Make the gradients w.r.t. all other parameters.

        Parameters
        ----------
        x_ng
            Counts of the forward pass.
        kl_slope
            Derivative of the loss w.r.t. the mean KL of z. That w.r.t. the means of the reconstruction and
            of the library's divergence is 1.
        grad_z_nd, grad_mean_nd
            Gradients of the penalty w.r.t. samples and means of the latent vectors, ``(n, d)``; None: 0.
        """
        for layer in reversed(self.hidden):
            layer.backward()
        normal = self.encoder.normal
        if grad_z_nd is not None:
            normal.grad_z += grad_z_nd
        normal.grad_mean.zero_() if grad_mean_nd is None else normal.grad_mean.copy_(grad_mean_nd)
        normal.grad_kl.fill_(kl_slope / len(normal.grad_kl))
        self.encoder.backward(x_ng.log1p())
        if self.modelled:
            self.library.normal.grad_z *= self.library.normal.z < self.modelled.most  # as clamp's gradient
            self.library.backward(x_ng.log1p())


class EncoderPasses:
    """Both passes of an encoder for n cells."""

    def __init__(self, encoder: Encoder, n: int, batch_nb: Tensor, adam: CompiledAdam | None) -> None:
        covariates = batch_nb if encoder.sees_batch else None
        self.keep_prob = encoder.hidden.keep_prob
        self.hidden = hidden_layers(encoder.hidden, n, None, covariates, self.keep_prob, adam)
        layers = cast("Affine", encoder.mean), cast("Affine", encoder.log_variance)
        self.normal = Normal(self.hidden[-1].outputs, *layers, encoder.variance_floor)

    def forward(self, log_x_ng: SparseCounts, noise: Noise | None, training: bool) -> None:
        """Make what `normal` holds; its samples are its means without noise."""
        counts: SparseCounts | None = log_x_ng
        for layer in self.hidden:
            drops = noise is not None and training and self.keep_prob < 1
            keep_nh = noise.keep(layer.shape, self.keep_prob) if noise and drops else None
            layer.forward(training, keep_nh, counts)
            counts = None
        shape = self.normal.z.shape
        self.normal.forward(noise.normal(shape) if noise else torch.zeros(shape))

    def backward(self, log_x_ng: SparseCounts) -> None:
        """Make the gradients w.r.t. the parameters from those that `normal` holds."""
        self.normal.backward()
        first, *others = self.hidden
        for layer in reversed(others):
            layer.backward()
        first.backward(log_x_ng)


def hidden_layers(
    layers: HiddenLayers,
    n: int,
    inputs: Inputs | None,
    covariates: Tensor | None,
    keep_prob: float = 1.0,
    adam: CompiledAdam | None = None,
) -> list[Hidden]:
    """The layers for n cells, each with the outputs of the one before as inputs."""
    bound: list[Hidden] = []
    for linear, norm in zip(layers.linears, layers.norms, strict=True):
        seen = covariates if layers.deep or not bound else None
        bound.append(Hidden(n, cast("Affine", linear), cast("Norm", norm), keep_prob, inputs, seen, adam))
        inputs = bound[-1].outputs
    return bound
