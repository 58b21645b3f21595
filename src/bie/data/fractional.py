"""Counts that are not whole: what SoupX, CellBender, alevin and other estimators leave."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.data.checks import first_non_count

Policy = Literal["refuse", "round", "keep"]


def settle(values: NDArray[np.float32], policy: Policy) -> float | None:
    """Bring values to what the policy makes of them, in place.

    Parameters
    ----------
    values
        Stored values of a matrix of counts, any shape.
    policy
        ``refuse`` values that are not whole, ``round`` them to the nearest whole number (a half to the even
        one), or ``keep`` them as they are.

    Returns
    -------
    float or None
        First value that cannot be used: negative, not finite, too large or, where refused, not whole.
    """
    if policy == "round":
        np.rint(values, out=values)
    return first_non_count(values if policy != "keep" else np.ceil(values))
