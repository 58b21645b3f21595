"""Lower bounds on a mutual information for any critic T, and a gradient that minibatches do not bias.

===============  ============================================  =============================================
`dv_bound`       ``E_joint[T] - ln E_marginal[e^T]``           Donsker & Varadhan 1983; Belghazi et al. 2018
`nwj_bound`      ``E_joint[T] - E_marginal[e^T] / e``          Nguyen, Wainwright & Jordan 2010
`infonce_bound`  ``E_joint[T(x, y) - ln mean_j e^T(x, y_j)]``  van den Oord et al. 2018
===============  ============================================  =============================================

All are tight at T = ln p(x, y)/p(x)p(y), to which may be added a constant (the first), exactly 1 (the
second), any function of x (the third, which the number of the y_j caps). Everything stays in logarithms: e^T
itself overflows in float32 from T = 89 on.
"""

import math

import torch
from torch import Tensor, nn

from bie.kernels.critics import Average


def log_mean_exp(score_n: Tensor) -> Tensor:
    """``ln mean e^score`` over the last axis."""
    return score_n.logsumexp(-1) - math.log(score_n.shape[-1])


def dv_bound(joint_n: Tensor, marginal_n: Tensor) -> Tensor:
    """Donsker-Varadhan estimate of a mutual information.

    Parameters
    ----------
    joint_n
        Scores ``(..., n)`` of pairs that belong together.
    marginal_n
        Scores ``(..., m)`` of pairs drawn independently.

    Returns
    -------
    Tensor
        ``mean(joint) - ln mean e^marginal`` over the last axis, nats. A lower bound in expectation over
        samples that did not train the critic, and never far above ln m (McAllester & Stratos 2020).
    """
    return joint_n.mean(-1) - log_mean_exp(marginal_n)


def nwj_bound(joint_n: Tensor, marginal_n: Tensor) -> Tensor:
    """Estimate of a mutual information by Nguyen, Wainwright & Jordan 2010 (IEEE Trans Inf Theory 56:5847).

    Parameters
    ----------
    joint_n, marginal_n
        As for `dv_bound`.

    Returns
    -------
    Tensor
        ``mean(joint) - mean e^(marginal - 1)`` over the last axis, nats. A lower bound in expectation over
        samples that did not train the critic, and by its gradient unbiased in minibatches, but of a variance
        that grows as e^I. Minus infinity where the mean of e^T exceeds float32.
    """
    return joint_n.mean(-1) - (log_mean_exp(marginal_n) - 1).exp()


def infonce_bound(joint_n: Tensor, marginal_nm: Tensor) -> Tensor:
    """Estimate of a mutual information by contrast (van den Oord et al. 2018, arXiv:1807.03748).

    Parameters
    ----------
    joint_n
        Scores ``T(x, y)`` of pairs that belong together, ``(..., n)``.
    marginal_nm
        Scores ``(..., n, m)`` of each x with m values of y, its own among them.

    Returns
    -------
    Tensor
        Mean over n of ``T(x, y) - ln mean_m e^T(x, y_m)``, nats. A lower bound in expectation, and never
        above ln m.
    """
    return -log_mean_exp(marginal_nm - joint_n.unsqueeze(-1)).mean(-1)


BOUNDS = {"dv": dv_bound, "nwj": nwj_bound, "infonce": infonce_bound}
"""Lower bounds on a mutual information by their names in settings."""


def critic_objective(joint_n: Tensor, marginal_n: Tensor, log_average: Tensor) -> Tensor:
    """What a critic minimises: its gradient is that of minus the bound, its value means nothing.

    The gradient of ``ln E[e^T]`` is ``E[e^T dT] / E[e^T]``; with both expectations over one minibatch the
    quotient is biased. Here the denominator is an average over many of them (Belghazi et al. 2018, 3.2).

    Parameters
    ----------
    joint_n, marginal_n
        Scores as for `dv_bound`.
    log_average
        ``ln E[e^marginal]`` from `LogMovingAverage`, updated by these very scores: then no term of the
        sum exceeds m / rate, however large the scores are.
    """
    return (marginal_n - log_average.unsqueeze(-1)).exp().mean(-1) - joint_n.mean(-1)


class LogMovingAverage(nn.Module):
    """Exponential moving average of positive numbers that are given and returned as logarithms.

    ``A_t = (1 - rate) A_{t-1} + rate a_t`` from A_0 = 0, returned as ``A_t / (1 - (1 - rate)^t)``, which is
    a weighted mean of all numbers so far, the first one alone at t = 1.

    Parameters
    ----------
    rate
        Weight of the newest number, above 0 to 1.
    """

    log_sum: Tensor
    n_updates: Tensor
    log_rate: Tensor
    log_decay: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer("log_sum", torch.tensor(-math.inf))
        self.register_buffer("n_updates", torch.tensor(0, dtype=torch.int32))
        self.register_buffer("log_rate", torch.tensor(rate).log(), persistent=False)
        self.register_buffer("log_decay", torch.tensor(1 - rate).log(), persistent=False)

    def state(self) -> Average:
        """What `update` reads and changes."""
        return Average(self.log_rate, self.log_decay, self.n_updates, self.log_sum)

    @torch.no_grad()
    def update(self, log_value: Tensor) -> Tensor:
        """Take in ``ln a_t``; the logarithm of the average so far."""
        self.n_updates += 1
        self.log_sum.copy_(torch.logaddexp(self.log_sum + self.log_decay, log_value + self.log_rate))
        return self.log_sum - (-(self.n_updates * self.log_decay).expm1()).log()
