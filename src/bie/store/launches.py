"""One folder per launch: what was asked for, by which code, in which environment."""

import io
import json
import secrets
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.store.paths import Tree
from bie.store.provenance import installed_packages, source_files
from bie.store.record import write_file

if TYPE_CHECKING:
    import pandas as pd

PLAN = "plan.parquet"
COLUMNS = ("dataset", "model", "config_id", "seed", "run_id", "grid", "config")


def open_launch(tree: Tree, argv: Sequence[str], plan: dict[str, list[Any]]) -> Path:
    """Create the folder of a launch and freeze in it what is about to run.

    Parameters
    ----------
    plan
        One list per name in `COLUMNS`, an entry per run in the order of the launch. ``grid`` and
        ``config`` are JSON texts; parquet stores each distinct one once.
    """
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
    folder = tree.launches / name
    (folder / "logs").mkdir(parents=True)
    write_file(folder / PLAN, _parquet(plan))
    write_file(folder / "argv", (json.dumps(list(argv)) + "\n").encode())
    write_file(folder / "environment", ("\n".join(installed_packages()) + "\n").encode())
    write_file(folder / "source.zip", _snapshot())
    return folder


def _parquet(plan: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({name: plan[name] for name in COLUMNS}), buffer)
    return buffer.getvalue()


def _snapshot() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in source_files():
            archive.write(path, name)
    return buffer.getvalue()


def planned(tree: Tree) -> "pd.DataFrame":
    """Every run that any launch of the study asked for, once, with the `COLUMNS` of the plan.

    A run asked for by several launches keeps its first row.
    """
    import pandas as pd

    frames = [pd.read_parquet(path) for path in sorted(tree.launches.glob(f"*/{PLAN}"))]
    if not frames:
        return pd.DataFrame({name: [] for name in COLUMNS})
    return pd.concat(frames, ignore_index=True).drop_duplicates("run_id", ignore_index=True)
