"""Numbers as tables and sentences show them."""

from typing import Any

from bie.store.identity import SHOWN

NOTHING = "–"
MOST_DECIMALS = 6


def mean_sd(mean: float, sd: float) -> str:
    """Mean and standard deviation, the latter to two digits and the former to its last decimal.

    >>> mean_sd(0.7421, 0.0512), mean_sd(1234.56, 12.34), mean_sd(0.5, float("nan"))
    ('.742±.051', '1235±12', '.500')
    """
    if mean != mean:  # no run yet
        return NOTHING
    if not sd > 0.5 * 10**-MOST_DECIMALS:  # one run, or all alike
        return _alone(mean) + ("±0" if sd == sd else "")
    decimals = _decimals(sd)
    return f"{short(f'{mean:.{decimals}f}')}±{short(f'{sd:.{decimals}f}')}"


def with_interval(mean: float, low: float, high: float, unit: str = "") -> str:
    """Mean and the interval in which it is, to two digits of half its width.

    >>> with_interval(0.1234, 0.11, 0.14), with_interval(15.21, 13.0, 17.2, "nats")
    ('.123 [.110, .140]', '15.2 nats [13.0, 17.2]')
    """
    number = short(f"{mean:.{_decimals((high - low) / 2)}f}") if high > low else _alone(mean)
    return f"{number}{f' {unit}' if unit else ''} {interval(low, high)}"


def difference(mean: float, low: float, high: float, unit: str = "") -> str:
    """The same of a difference, with its sign.

    >>> difference(0.1234, 0.11, 0.14), difference(-19.0, float("nan"), float("nan"), "nats")
    ('+.123 [.110, .140]', '-19.0 nats [no interval]')
    """
    return ("+" if mean > 0 else "") + with_interval(mean, low, high, unit)


def interval(low: float, high: float) -> str:
    """Both ends, to two digits of half the width; that there is none where it is not known.

    >>> interval(-0.0312, 0.0101), interval(float("nan"), float("nan"))
    ('[-.031, .010]', '[no interval]')
    """
    if not high > low:
        return "[no interval]"
    decimals = _decimals((high - low) / 2)
    return f"[{short(f'{low:.{decimals}f}')}, {short(f'{high:.{decimals}f}')}]"


def _alone(number: float) -> str:
    """A number of which no spread is known: three digits, or three decimals of what is below 1."""
    return short(f"{number:.{max(0, 3 - len(str(int(abs(number))).lstrip('0')))}f}")


def _decimals(spread: float) -> int:
    return min(max(0, 1 - int(f"{spread:.1e}"[4:])), MOST_DECIMALS)  # of 1.2e-03 what is behind the e


def two_digits(value: float) -> str:
    """A spread, to two digits; all digits of what is above a hundred; a dash for NaN.

    >>> two_digits(0.01234), two_digits(0.05), two_digits(99.7), two_digits(168.2), two_digits(0.0)
    ('0.012', '0.050', '100', '168', '0')
    """
    if value != value:
        return NOTHING
    seen = 10**-MOST_DECIMALS <= value < float("inf")
    return f"{value:.{_decimals(value)}f}" if seen else f"{value:.2g}"


def hundredths(value: float) -> str:
    """Two decimals; between a thousandth and a hundredth two digits.

    >>> hundredths(0.4931), hundredths(0.00213), hundredths(0.0002)
    ('.49', '.0021', '.00')
    """
    return short(f"{value:.2g}" if 0.001 < abs(value) < 0.01 else f"{value:.2f}")


def short(number: str) -> str:
    """Leave out the zero before the point, and the sign of zero.

    >>> short("-0.50"), short("-0.00"), short("10.5")
    ('-.50', '.00', '10.5')
    """
    if number[0] != "-":  # a table has hundred thousands of these
        return number[1:] if number[:2] == "0." else number
    digits = number[2:] if number[1:3] == "0." else number[1:]
    return f"-{digits}" if digits.strip("0.") else digits


def setting(value: Any) -> str:
    """Value of a setting as one would type it; what does not act here is a dash."""
    import pandas as pd

    if value is pd.NA or value is None:
        return NOTHING
    if isinstance(value, float):
        return NOTHING if value != value else f"{value:.15g}"
    if isinstance(value, bool):
        return str(value).lower()
    return value[:SHOWN] if len(str(value)) == 64 else str(value)
