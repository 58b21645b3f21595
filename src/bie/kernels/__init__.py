"""Compiled fast paths of training on a CPU, each beside the plain version that defines it.

===================  ==============================  ==========================================
fast                 what it does                    defined by
===================  ==============================  ==========================================
`likelihood`         log-likelihood and gradient     `bie.models.likelihoods`
`counts`             products with sparse counts     dense tensors: ``x @ weight``
`layers`             hidden layers, latent space     `bie.models.layers` and `gaussian`
`mlp`                small networks                  `bie.kernels.mlp.plain`
`donsker_varadhan`   bound with gradient             `bie.mutual_information.estimators`
`critics`            all steps on a minibatch        `bie.penalties.base.Penalty.learn`
`mmd`                statistic with gradient         `bie.penalties.mmd`
`adam`               a step of all parameters        `torch.optim.Adam`
===================  ==============================  ==========================================

The first two take part where the minibatches are `counts.SparseCounts`, which `bie.training.batches` makes
where `is_active`; the others where `is_active` and all is in single precision on the CPU. What is held is
the loaded library and memory for the next call.
"""

from bie.kernels.native import is_active, status

__all__ = ["is_active", "status"]
