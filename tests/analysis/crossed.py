"""A table of two crossed effects, drawn."""

import numpy as np

ROW, COLUMN = np.divmod(np.arange(30), 6)


def drawn(seed: int, *sds: float) -> np.ndarray:
    """Values of a 5 x 6 table: effects of rows and columns and a rest."""
    rng = np.random.default_rng(seed)
    row, column, rest = (sd * rng.standard_normal(n) for sd, n in zip(sds, (5, 6, 30), strict=True))
    return 3 + row[ROW] + column[COLUMN] + rest
