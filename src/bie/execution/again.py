"""Carry out a run of a launch once more, into another folder: its record, if there is one, is not looked at.

``python -m bie.execution.again`` is what `bie.reproduction` starts in the recorded environment, on the
recorded source. So its arguments stay as they are, and what it calls is what every version of bie has had.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bie import devices
from bie.config import RunConfig, Save
from bie.data.load import load
from bie.data.prepared import write_prepared
from bie.errors import BadInput, guarded
from bie.execution.packs import Packing
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.worker import execute_one
from bie.schema import validated
from bie.store.launches import POINTS
from bie.store.paths import Tree
from bie.store.record import read


def again(
    launch: Path, config_id: str, seed: int, folder: Path, device: str, matmul_precision: str
) -> Outcome:
    """Do a run as its launch noted it, and leave a record, or a failure, in `folder`.

    Parameters
    ----------
    folder
        New; its record is of this time and place. The launch and its study are only read.
    device, matmul_precision
        Where it was trained and how exactly matrices were multiplied there; the CPU where there is no GPU.
    """
    nothing = Save(model=False, embedding=False)
    spec = spec_of(launch, config_id, seed, nothing, folder, folder.parent / "cells")
    where = device if device != "cuda" or devices.has_cuda() else "cpu"
    return execute_one(spec, packing=Packing(1, where, matmul_precision=matmul_precision))


def spec_of(launch: Path, config_id: str, seed: int, save: Save, folder: Path, cells: Path) -> RunSpec:
    """A run as its launch noted it, to be done once more into `folder`.

    Its cells are prepared in the folder `cells` if they are gone, once more from their source.

    Raises
    ------
    BadInput
        The launch does not know such a run, or its data set is not what it was.
    """
    point = (read(launch / POINTS) or {}).get(config_id)
    if point is None:
        raise BadInput(f"{launch / POINTS} has no grid point {config_id}: it cannot be trained again")
    config = validated(RunConfig, point["config"]).model_copy(update={"seed": seed, "save": save})
    prepared = Tree(launch.parents[1]).prepared / point["shelf"]
    if getattr(config.dataset, "yields", "cells") == "cells" and not prepared.is_dir():
        found = load(config.dataset)
        if found.sha256 != point["plain"]["dataset"]["sha256"]:
            raise BadInput(
                f"dataset={config.dataset.name}: its cells are not those of the run (SHA-256 "
                f"{found.sha256[:12]}, then {point['plain']['dataset']['sha256'][:12]}). "
                "Put its files back as they were"
            )
        prepared = write_prepared(found, cells)
    return RunSpec(point["title"], config, point["plain"], config_id, prepared, point["origin"], folder)


def main(argv: Sequence[str] | None = None) -> int:
    """LAUNCH CONFIG_ID SEED FOLDER DEVICE MATMUL_PRECISION; 0 where there is a record at the end."""
    launch, config_id, seed, folder, device, precision = sys.argv[1:] if argv is None else argv
    return guarded(
        lambda: int(
            again(Path(launch), config_id, int(seed), Path(folder), device, precision).status != "done"
        )
    )


if __name__ == "__main__":
    sys.exit(main())
