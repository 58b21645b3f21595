"""A study as an RO-Crate: ``ro-crate-metadata.json``, which says what its files are and which run made them.

RO-Crate 1.1 (Soiland-Reyes et al. 2022, doi:10.3233/DS-210053), with runs as the actions of the profile
Process Run Crate (Leo et al. 2024, doi:10.1371/journal.pone.0309210). Paths are relative: the folder can be
zipped as it is.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bie.analysis.grid import CONTENT
from bie.analysis.study import Study
from bie.analysis.titles import row_titles
from bie.store.identity import SHOWN
from bie.store.paths import Tree
from bie.store.record import FAILED, RECORD

if TYPE_CHECKING:
    import pandas as pd

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_LAUNCH = ("argv", "environment", "launch.json", "plan.parquet", "points.json", "source.zip")
_TYPES = {
    ".json": "application/json",
    ".npz": "application/x-npz",
    ".parquet": "application/vnd.apache.parquet",
    ".pt": "application/x-pytorch",
    ".tex": "application/x-tex",
}

Entity = dict[str, Any]

_LICENCE: Entity = {
    "@id": "#licence",
    "@type": "CreativeWork",
    "name": "none chosen yet",
    "description": "A crate must say how it may be used: whoever publishes this study writes that here.",
}


def crate(tree: Tree, study: Study) -> Entity:
    """Content of ``ro-crate-metadata.json``: files of reports, launches and runs, and an action for each run.

    Parameters
    ----------
    tree
        Where the files are.
    study
        As it was read from there. A failed run is a failed action; of a missing one nothing is said.
    """
    ended = study.runs[study.runs["state"].isin(["done", "failed"])]
    files = list(_files(tree, [*sorted(tree.report.glob("*")), *_of_launches(tree)]))
    names, actions, made = row_titles(study.grid_points), [], []
    for row in ended.to_dict("records"):
        folder = tree.run_dir(row["dataset"], row["model"], row["config_id"], row["seed"])
        own = list(_files(tree, sorted(folder.glob("*"))))
        made += own
        action = _action(row, names[row["config_id"]], own, _dataset_id(study, row))
        actions.append(action | _ended(folder / (RECORD if row["state"] == "done" else FAILED)))
    whole = [*files, *made]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": study.name,
        "description": f"{len(actions):,} runs of {len(study.grid_points):,} models x data sets by bie "
        "(batch-invariant embeddings of single cells): tables, figures, the record of each run",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": _ref(_LICENCE["@id"]),
        "conformsTo": _ref(PROFILE),
        "hasPart": [_ref(file["@id"]) for file in whole],
        "mentions": [_ref(action["@id"]) for action in actions],
    }
    others = [*_programs(ended), *_datasets(study, ended), *_points(study, ended), *_seeds(ended)]
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    graph = [_descriptor(), root, _LICENCE, profile, *others, *actions, *whole]
    return {"@context": [f"{_SPECIFICATION}/context", _TERMS], "@graph": graph}


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": _ref("./"),
        "conformsTo": _ref(_SPECIFICATION),
    }


def _ref(name: str) -> dict[str, str]:
    return {"@id": name}


def _of_launches(tree: Tree) -> Iterator[Path]:
    for launch in sorted(tree.launches.glob("*")):
        yield from (launch / name for name in _LAUNCH)


def _files(tree: Tree, paths: list[Path]) -> Iterator[Entity]:
    """Entities of the files among the paths; hidden ones are a tool's own."""
    for path in paths:
        if path.is_file() and not path.name.startswith("."):
            found = _TYPES.get(path.suffix) or guess_type(path.name)[0] or "text/plain"
            yield {
                "@id": quote(path.relative_to(tree.root).as_posix(), safe="/="),
                "@type": "File",
                "name": path.name,
                "contentSize": str(path.stat().st_size),
                "encodingFormat": found,
            }


def _action(row: Mapping[Any, Any], title: str, files: list[Entity], dataset: str) -> Entity:
    """What made the files of a run."""
    done = row["state"] == "done"
    action: Entity = {
        "@id": f"#run-{row['config_id'][:SHOWN]}-{row['seed']}",
        "@type": "CreateAction",
        "name": f"{row['dataset']} {title} seed={row['seed']}",
        "instrument": _ref(_program_id(row["code"] if done else None)),
        "object": [_ref(dataset), _ref(f"#config-{row['config_id'][:SHOWN]}"), _ref(_seed_id(row["seed"]))],
        "result": [_ref(file["@id"]) for file in files],
        "actionStatus": f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus",
    }
    if done:
        return action | {"identifier": row["run_id"]}
    return action | {"error": f"{row['cause']}: {row['message']}".rstrip(": ")}


def _ended(path: Path) -> Entity:
    """When a run wrote its end."""
    try:
        seconds = path.stat().st_mtime
    except OSError:  # taken away meanwhile
        return {}
    return {"endTime": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")}


def _program_id(code: str | None) -> str:
    return f"#bie-{code or 'unknown'}"


def _programs(ended: "pd.DataFrame") -> Iterator[Entity]:
    """The versions of bie that made the records, by the hash of their source, and what they ran on."""
    done = ended[ended["state"] == "done"].drop_duplicates("code")
    for row in done.to_dict("records"):
        packages = dict(row["packages"])
        yield {
            "@id": _program_id(row["code"]),
            "@type": "SoftwareApplication",
            "name": "bie",
            "softwareVersion": str(packages.get("bie") or "unknown"),
            "identifier": row["code"],
            "softwareRequirements": ", ".join(f"{name} {v}" for name, v in packages.items() if v),
        }
    if (ended["state"] == "failed").any() and "unknown" not in set(done["code"]):
        yield {"@id": _program_id(None), "@type": "SoftwareApplication", "name": "bie"}


def _seed_id(seed: int) -> str:
    return f"#seed-{seed}"


def _seeds(ended: "pd.DataFrame") -> Iterator[Entity]:
    for seed in sorted(ended["seed"].unique().tolist()):
        yield {"@id": _seed_id(seed), "@type": "PropertyValue", "name": "seed", "value": str(seed)}


def _dataset_id(study: Study, row: Mapping[Any, Any]) -> str:
    content = study.configs.get(row["config_id"], {}).get(CONTENT)
    return f"#cells-{str(content or row['dataset'])[:SHOWN]}"


def _datasets(study: Study, ended: "pd.DataFrame") -> Iterator[Entity]:
    """The cells, by their content; they are not in the crate."""
    seen: dict[str, Entity] = {}
    for row in ended.drop_duplicates("config_id").to_dict("records"):
        content = study.configs.get(row["config_id"], {}).get(CONTENT)
        name = _dataset_id(study, row)
        seen[name] = {"@id": name, "@type": "Dataset", "name": row["dataset"]}
        if content:
            seen[name]["identifier"] = f"sha256:{content}"
    yield from seen.values()


def _points(study: Study, ended: "pd.DataFrame") -> Iterator[Entity]:
    """The settings of each grid point."""
    for config in ended["config_id"].unique():
        settings = study.configs.get(config, {})
        yield {
            "@id": f"#config-{config[:SHOWN]}",
            "@type": "PropertyValue",
            "name": "config_id",
            "value": config,
            "description": ", ".join(f"{key}={value}" for key, value in sorted(settings.items())),
        }
