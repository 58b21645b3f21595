"""Whether a study has, or will have, the row that it is to be compared with."""

import json

from bie.planning.plan import Plan
from bie.store.launches import planned
from bie.store.paths import Tree


def check_baseline(wanted: str | None, plan: Plan, tree: Tree) -> None:
    """Look for the baseline among the rows that are asked for now and those of earlier launches.

    Parameters
    ----------
    wanted
        ``study.baseline``; None: whatever `bie.analysis.baseline.baselines` takes by default.

    Raises
    ------
    BadInput
        No row is that.
    """
    if wanted is None:
        return
    from bie.analysis.baseline import fitting, no_such_row
    from bie.analysis.grid import flat

    asked = {point.config_id: flat(point.plain) | {"model": point.model} for point in plan.points}
    if fitting(asked, wanted):
        return
    before = planned(tree).drop_duplicates("config_id").to_dict("records")
    known = {row["config_id"]: flat(json.loads(row["config"])) | {"model": row["model"]} for row in before}
    if not fitting(known, wanted):
        raise no_such_row(wanted, (point.title.partition(" ")[2] for point in plan.points))
