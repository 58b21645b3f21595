"""Spans of time as people say them."""


def duration(seconds: float) -> str:
    """Time in the units that people use.

    >>> duration(7.2), duration(130), duration(5400)
    ('7 s', '2.2 min', '1 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.2g} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"
