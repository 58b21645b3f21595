"""Compiled fast paths of training on a CPU, each beside the plain version that defines it.

===================  ==============================  ==========================================
fast                 what it does                    defined by
===================  ==============================  ==========================================
`likelihood`         log-likelihood and gradient     `bie.models.likelihoods`
`counts`             products with sparse counts     dense tensors: ``x @ weight``
===================  ==============================  ==========================================

The fast paths take part where the minibatches are `counts.SparseCounts`, which `bie.training.batches` makes
where `is_active`. Nothing here holds state besides the loaded library.
"""

from bie.kernels.native import is_active, status

__all__ = ["is_active", "status"]
