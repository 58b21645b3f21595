"""Training of a model, with or without a penalty, and its evaluation.

==================================  =======================================================================
`fit`                               the loop over epochs, for one run or many: read this first
`run`, `checkpoint`                 what a run trains and how far it is; the state it can go on from
`engine`                            what takes the steps of an epoch: `compiled` for one run in C kernels,
                                    `stacked` for one or many by torch
`critic`                            the penalty's part of a step; `penalty_kernels`: in kernels
`learner`, `stacked_learner`        a module with its Adam, of one run or of many; `optimiser`: Adam
`loss`, `schedules`, `gradients`    parts of the loss, weight of its KL term, gradients of both losses
`batches`                           minibatches, dense or sparse
`graph`, `draws`                    steps as CUDA graphs, and the random draws made ahead for them
`evaluation`                        latent vectors and parts of the loss of a trained model
==================================  =======================================================================
"""
