"""What difference a design can see before it runs, from the paired differences of studies that are done.

The smallest mean difference that the test finds with 80 % probability, two-sided at 5 %, before Holm's
correction over the rows: on these cells by the paired t-test, on new ones by that of Nadeau & Bengio
(`bie.analysis.paired`). Both need the same noncentrality, the effect in standard errors of the mean, which is
where they differ.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bie.analysis.comparison import compare
from bie.analysis.numbers import two_digits
from bie.analysis.paired import ALPHA
from bie.analysis.study import Study, read_study
from bie.analysis.verdicts import POWER
from bie.errors import BadInput
from bie.metrics.cards import CARDS
from bie.store.paths import Tree

if TYPE_CHECKING:
    import pandas as pd

LEAST_PAIRS = 3
"""Of a pilot: two pairs tell a spread to a factor of thirty."""
WIDER = 0.9
"""The train fraction that is held against the design's own."""
MANY = 4
"""How many times the seeds are held against the design's own."""


@dataclass(frozen=True)
class Design:
    """A comparison that is planned.

    Attributes
    ----------
    dataset, model
        Names of the data set and of the model that is compared with the baseline.
    sha256
        Content of the data set.
    train_fraction
        Share of the cells that train; None: each seed draws its data anew, and what is said of these is said
        of new ones.
    n_seeds
        Pairs.
    """

    dataset: str
    model: str
    sha256: str
    train_fraction: float | None
    n_seeds: int


@dataclass(frozen=True)
class Pilot:
    """Paired differences that are known.

    Attributes
    ----------
    tree
        The study.
    model
        Of which model from the baseline.
    n_pairs
        Of the grid point that has the fewest.
    sd, margin
        By metric: standard deviation of a paired difference (root mean square over grid points) and the
        difference that matters, NaN for none.
    """

    tree: Tree
    model: str
    n_pairs: int
    sd: Mapping[str, float]
    margin: Mapping[str, float]


def power(designs: Iterable[Design], trees: Iterable[Tree]) -> list[str]:
    """Say what each design can see, in lines.

    Parameters
    ----------
    trees
        Studies that may hold a pilot, the nearest first.
    """
    known = [(tree, table) for tree in trees if (table := _differences(read_study(tree))) is not None]
    lines: list[str] = []
    for design in designs:
        pilot = _pilot(design, known)
        lines += [_advice(design)] if pilot is None else _text(design, pilot)
    return lines


def detectable(sd: float, n: int, test_to_train: float = 0.0) -> float:
    """Smallest mean difference that n pairs show with probability `POWER`.

    Parameters
    ----------
    sd
        Of a paired difference.
    n
        Pairs, 2 at least; infinity: as many as one likes.
    test_to_train
        n_test / n_train for new cells, 0 for these cells.

    Examples
    --------
    >>> round(detectable(1.0, 10), 3), round(detectable(1.0, 10, 0.4 / 0.6), 3)
    (0.996, 2.758)
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    if math.isinf(n):
        return sd * math.sqrt(test_to_train) * float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
    effect = float(TTestPower().solve_power(nobs=n, alpha=ALPHA, power=POWER))
    return sd * effect * math.sqrt(n) * math.sqrt(1 / n + test_to_train)


def seeds_for(difference: float, sd: float) -> int:
    """Pairs that show a mean difference on these cells with probability `POWER`; 2 at least."""
    from statsmodels.stats.power import TTestPower

    ratio = difference / sd
    for n in (2, 3):  # the search for a number between 2 and 3 may not end
        if detectable(1.0, n) <= ratio:
            return n
    return math.ceil(float(TTestPower().solve_power(effect_size=ratio, alpha=ALPHA, power=POWER)))


def _differences(study: Study) -> "pd.DataFrame | None":
    """Rows of the comparison with a spread to learn from: headline metrics of the test cells. None: none."""
    try:
        table = compare(study)
    except BadInput:  # the row that it was to be compared with is gone
        return None
    table = table[(table["split"] == "test") & (table["n_pairs"] >= LEAST_PAIRS) & (table["sd"] > 0)]
    headline = [name for name, card in CARDS.items() if card.headline]
    table = table[table["metric"].isin(headline)]
    content = [str(study.configs.get(str(c), {}).get("dataset.sha256")) for c in table["config_id"]]
    return table.assign(sha256=content) if len(table) else None


def _pilot(design: Design, known: Iterable[tuple[Tree, "pd.DataFrame"]]) -> Pilot | None:
    """The first study with this model on these cells, else the first with any other model on them."""
    same = [(tree, table[table["sha256"] == design.sha256]) for tree, table in known]
    for_model = [(tree, table[table["model"] == design.model]) for tree, table in same]
    for tree, table in (*for_model, *same):
        if len(table):
            found = [(str(metric), rows) for metric, rows in table.groupby("metric", sort=False)]
            sd = {metric: math.sqrt((rows["sd"] ** 2).mean()) for metric, rows in found}
            margin = {metric: float(rows["margin"].min()) for metric, rows in found}
            return Pilot(tree, ", ".join(table["model"].unique()), int(table["n_pairs"].min()), sd, margin)
    return None


def _advice(design: Design) -> str:
    return (
        f"power: nothing is known of {design.model} on {design.dataset} yet. A pilot tells: run the same "
        "command with seed=range(5) and study.name=pilot, then plan again"
    )


def _text(design: Design, pilot: Pilot) -> list[str]:
    n, fraction = design.n_seeds, design.train_fraction or math.nan
    test_to_train, wider = (1 - fraction) / fraction, (1 - WIDER) / WIDER + 0 * fraction  # NaN: no split
    if n < 2:
        return [
            f"power: {design.dataset} {design.model}: one seed has no spread and shows nothing; 2 at least"
        ]
    least, most = _spread_of_sd(pilot.n_pairs)
    header = ["metric", "sd of a pair", f"these cells: {n} seeds", f"{MANY * n} seeds"]
    header += [f"new cells: {n} seeds", "any number", f"{n} seeds, split.train_fraction={WIDER}"]
    header += ["margin", "seeds for it (these cells)"]
    rows = [header]
    for metric, sd in pilot.sd.items():
        seen = [detectable(sd, n), detectable(sd, MANY * n)]
        seen += [detectable(sd, n, test_to_train), detectable(sd, math.inf, test_to_train)]  # type: ignore[arg-type]
        seen.append(detectable(sd, n, wider))
        margin = pilot.margin[metric]
        wanted = [two_digits(margin), f"{seeds_for(margin, sd):,}"] if margin > 0 else ["–", "–"]
        rows.append([CARDS[metric].label, two_digits(sd), *map(two_digits, seen), *wanted])
    return [
        f"power: {design.dataset} {design.model}, smallest mean difference seen in {POWER:.0%} of such "
        "studies (two-sided 5 %, before Holm's correction)",
        *_aligned(rows),
        f"sd: {pilot.model} in {pilot.tree.root}, {pilot.n_pairs} pairs (the true one is {least:.1f} to "
        f"{most:.1f} times it), and taken to be the same at another split",
        _what_helps(n, test_to_train, wider),
    ]


def _spread_of_sd(n_pairs: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a standard deviation, as shares of its estimate."""
    from scipy.stats import chi2

    df = n_pairs - 1
    return tuple(math.sqrt(df / chi2.ppf(level, df)) for level in (1 - ALPHA / 2, ALPHA / 2))  # type: ignore[return-value]


def _what_helps(n: int, test_to_train: float, wider: float) -> str:
    here = 1 - detectable(1.0, MANY * n) / detectable(1.0, n)
    said = f"these cells: {MANY} times the seeds see a difference smaller by {here:.0%}"
    if math.isnan(test_to_train):
        return said
    now = detectable(1.0, n, test_to_train)
    seeds = 1 - detectable(1.0, MANY * n, test_to_train) / now
    split = 1 - detectable(1.0, n, wider) / now
    better = (
        f"split.train_fraction={WIDER} makes it {split:.0%} finer"
        if split > 0
        else "the split is wide enough"
    )
    return f"{said}. New cells: they make it {seeds:.0%} finer, {better}; beyond that other data sets help"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    )
    return ["  ".join(cells).rstrip() for cells in padded]
