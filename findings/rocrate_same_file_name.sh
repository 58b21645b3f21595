#!/usr/bin/env bash
# rocrate 0.16.0: of files of the same name from several folders a crate keeps the last one.
#
# add_file(source) without dest_path files it under its base name, whatever its folder, and add_directory does the same.
# An entity whose name is taken is replaced, "as in Python dictionaries" by the documentation of add; that names are
# base names is not said there. Runs write files of the same names into folders of their own: of a sweep's metrics.json
# the crate has one, and of two models' folders seed-0 one, in which the first one's files are missing. Adding and
# writing say nothing; read again, the crate is whole.
# Seen: 4 files added, 1 in the crate, that of the last run; 2 folders added, 1 in the crate, with the last one's files.
# What it means: an archived record lacks all runs but one. What helps: dest_path=path.relative_to(root), and
# len(crate.data_entities) after.
source "$(dirname "$0")/environment.bash"
packages rocrate==0.16.0
"$python" - <<'END'
import tempfile, warnings
from importlib.metadata import version
from pathlib import Path

from rocrate.rocrate import ROCrate

root = Path(tempfile.mkdtemp())
runs = [f"{model}/seed-{seed}" for model in ("mmd", "mine") for seed in (0, 1)]
for run in runs:
    (root / run).mkdir(parents=True)
    (root / run / "metrics.json").write_text(run)
    (root / run / f"{run.split('/')[0]}.txt").write_text(run)


def crate(add):
    """The entities and files of a crate that was written and read again, and the warnings."""
    made, folder = ROCrate(), Path(tempfile.mkdtemp()) / "crate"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        add(made)
        made.write(folder)
        read = ROCrate(folder)
    kept = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("ro-crate")]
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in kept}
    return {each.id: each.get("name") for each in read.data_entities}, files, len(said)


def files(made, **how):
    for run in runs:
        where = {name: value(run) for name, value in how.items()}
        made.add_file(root / run / "metrics.json", properties={"name": run}, **where)


def folders(made):
    for run in ("mmd/seed-0", "mine/seed-0"):
        made.add_directory(root / run, properties={"name": run})


plain, trees = crate(files), crate(folders)
placed = crate(lambda made: files(made, dest_path=lambda run: f"{run}/metrics.json"))
print(f"rocrate {version('rocrate')}: 4 files added: {plain}")
print(f"with dest_path: {len(placed[0])} entities, {len(placed[1])} files; 2 folders added: {trees}")
assert plain == ({"metrics.json": "mine/seed-1"}, {"metrics.json": "mine/seed-1"}, 0)
assert len(placed[0]) == len(placed[1]) == 4
assert trees[0] == {"seed-0/": "mine/seed-0"} and trees[2] == 0
assert set(trees[1]) == {"seed-0/metrics.json", "seed-0/mine.txt"}
END
