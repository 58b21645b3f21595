"""Add the examples of docs/extending.md to a checkout: ``python docs/examples/add.py CHECKOUT``.

CI adds them to a copy and runs them. What is not a new file is an edit below: the whole of what has to be
told elsewhere.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

FILES = {
    "dataset/blobs.py": "src/bie/data/datasets/blobs.py",
    "conf/dataset/blobs.yaml": "conf/dataset/blobs.yaml",
    "penalty/coral.py": "src/bie/penalties/coral.py",
    "conf/model/scvi_coral.yaml": "conf/model/scvi_coral.yaml",
    "conf/study/coral.yaml": "conf/study/coral.yaml",
}

APPENDED = {"metric/centroids.py": "src/bie/metrics/mixing.py"}

EDITS = [
    # what the metric's file has not imported yet
    ("src/bie/metrics/mixing.py", "import Card, Codes, metric", "import Card, Codes, Embedding, metric"),
]


def add(checkout: Path) -> None:
    """Add all of them.

    Raises
    ------
    ValueError
        The code has changed where an edit belongs.
    """
    for source, target in FILES.items():
        shutil.copyfile(HERE / source, checkout / target)
    for source, target in APPENDED.items():
        file = checkout / target
        file.write_text(f"{file.read_text()}\n\n{(HERE / source).read_text()}")
    for target, old, new in EDITS:
        text = (checkout / target).read_text()
        if text.count(old) != 1:
            raise ValueError(f"{target}: {old!r} is there {text.count(old)} times")
        (checkout / target).write_text(text.replace(old, new))


if __name__ == "__main__":
    add(Path(sys.argv[1]))
