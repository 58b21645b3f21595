"""Compiled fast paths of training on a CPU, each beside the plain version that defines it.

===================  ==============================  ==========================================
fast                 what it does                    defined by
===================  ==============================  ==========================================
`counts`             sparse minibatches              dense tensors
`layers`             hidden layers, latent space     `bie.models.layers` and `gaussian`
`likelihood`         heads, log-likelihood           `bie.models.decoder` and `likelihoods`
`mlp`                small networks                  `bie.kernels.mlp.plain`
`critics`            all steps on a minibatch        `bie.penalties.base.Penalty`
`mmd`                statistic with gradient         `bie.penalties.mmd`
`adam`               a step of all parameters        `torch.optim.Adam`
===================  ==============================  ==========================================

The first three make up `bie.models.compiled`, on memory that stays where it is; the others take tensors as
they come. All act where `is_active` and in single precision on the CPU. What is held is the loaded library
and memory for the next call.

Packs on a GPU have `fused`, the likelihood with the softmax before it, in Triton; defined by the same.
"""

from bie.kernels.native import are_wanted, is_active, status

__all__ = ["are_wanted", "is_active", "status"]
