"""``bie embed``: latent vectors of cells in a file, by the model of a finished run."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.data.query import Matched, Query
    from bie.methods.saved import SavedModel
    from bie.monitoring.runs import Run
    from bie.store.paths import Tree

KEY = "bie"
_EPILOG = """\
What is written is a copy of the file that is read, with obsm["X_bie"] (of each cell the mean of its
posterior, as in embedding.npz) and uns["bie"] (which run made it). Genes are matched by name, in any order.
Only models with model.encode_covariates=true read the batch of a cell; others embed cells of new batches as
they are. Nothing is trained on the new cells.
  --new-batch mean         of a model that reads the batch: a cell of a batch that it does not know gets the
                           mean of the vectors that it would have in each batch that it knows (scArches
                           would train weights for the new batch instead)
  --again                  trains with the settings and the seed of the record, and goes on only if every
                           number is that of the record; then model.pt is kept beside it

Exit code: 0, or 2 where run, model or file cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``embed``."""
    options = _parser().parse_args(argv)
    return guarded(lambda: _embed(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie embed",
        description="Latent vectors of cells in a file, by the saved model of a finished run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="id, beginning of it, or folder")
    parser.add_argument("--data", type=Path, required=True, metavar="X.h5ad", help="or a .zarr store")
    parser.add_argument("--out", type=Path, required=True, metavar="Y.h5ad", help="or .zarr; must not exist")
    parser.add_argument(
        "--layer", help="where counts are: X, raw.X, a layer; default: as in the run's data set"
    )
    parser.add_argument("--batch-key", help="column of obs; default: as in the run's data set")
    parser.add_argument(
        "--gene-key", metavar="COLUMN", help="column of var with names of genes; default: its index"
    )
    parser.add_argument(
        "--least-genes", type=float, metavar="SHARE", help="of the model's genes; default: 0.8"
    )
    parser.add_argument("--fractional", choices=["refuse", "round", "keep"], help="default: as in the run")
    parser.add_argument("--new-batch", choices=["refuse", "mean"], default="refuse", help="see below")
    parser.add_argument(
        "--again", action="store_true", help="train the run anew where its model is not saved"
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    return parser


def _embed(options: argparse.Namespace) -> int:
    from bie.data.annotated_copy import check_target, write_copy
    from bie.data.query import LEAST, match_genes
    from bie.execution.processes import single_threaded
    from bie.monitoring.runs import find_run
    from bie.store.record import RECORD, read

    least = LEAST if options.least_genes is None else options.least_genes
    if not 0 <= least <= 1:  # nan neither
        raise BadInput(f"--least-genes {least:g}: must be a share of the model's genes, 0 to 1")
    single_threaded()
    check_target(options.data, options.out)
    tree, run = find_run(options.run, options.outputs)
    record = read(run.folder(tree) / RECORD)
    if record is None:
        raise BadInput(f"run {_named(run)} is not done: bie logs {run.run_id[:12]}")
    model = _model(tree, run, record, options.again)
    query = _read(options, record, model)
    matched = match_genes(options.data, query, model.genes, least)
    batch_n, said = _batches(options, query, model)
    if "perturb" in record["config"]:
        said.append("counts: taken as they are; the run's own were perturbed")
    said += [f"counts: {_in_options(note)}" for note in query.notes]
    print("\n".join([f"run {_named(run)}", *matched.said(len(model.genes)), *said]), flush=True)
    z_nd = model.embed(matched.counts, query.cell_names, batch_n)
    write_copy(options.data, options.out, KEY, z_nd, _facts(record, matched, options))
    print(f'Written: {options.out}, obsm["X_{KEY}"] of {z_nd.shape[0]:,} cells x {z_nd.shape[1]}')
    return 0


def _named(run: "Run") -> str:
    return f"{run.run_id[:12]} ({run.place})"


def _model(tree: "Tree", run: "Run", record: Mapping[str, Any], again: bool) -> "SavedModel":
    """The model of a run, trained anew where it is not there and `again` is asked for."""
    from bie.methods.saved import read_model
    from bie.store.record import MODEL

    if "method" in record["config"]["model"]:
        raise BadInput(f"run {_named(run)}: {run.model} trains no model that could embed other cells")
    path = run.folder(tree) / MODEL
    if path.is_file():
        try:
            return read_model(path)
        except BadInput:
            if not again:
                raise
            path.replace(path.with_name(f"unreadable-{MODEL}"))
    if not again:
        raise BadInput(
            f"run {_named(run)} has no {MODEL}: it was run without save.model=true. "
            "bie embed --again trains it anew"
        )
    _train(tree, run)
    return read_model(path)


def _train(tree: "Tree", run: "Run") -> None:
    """Train a finished run anew for its model.

    Raises
    ------
    BadInput
        What comes out is not its record.
    """
    from bie.config import Save
    from bie.execution.again import spec_of
    from bie.execution.worker import execute_one

    print(f"run {_named(run)}: training it anew for its model", flush=True)
    folder, save = run.folder(tree), Save(model=True, embedding=False)
    spec = spec_of(run.launch.folder, run.config_id, run.seed, save, folder, tree.prepared)
    outcome = execute_one(spec)
    if outcome.status == "elsewhere":
        raise BadInput(f"run {_named(run)}: another process is at it. Try again later")
    if not spec.is_done():
        raise BadInput(f"run {_named(run)}: {outcome.message}")
    print("all numbers are those of its record", flush=True)


def _read(options: argparse.Namespace, record: Mapping[str, Any], model: "SavedModel") -> "Query":
    """Read the file as the run's own was read, where nothing else is said."""
    from bie.data.query import read_query

    origin = record["provenance"].get("dataset") or {}
    layer = origin.get("layer") if options.layer is None else options.layer
    batch_key = options.batch_key or origin.get("batch_key")
    if model.sees_batch and batch_key is None:
        raise BadInput("the model reads the batch of a cell. Name its column in obs: --batch-key COLUMN")
    fractional = options.fractional or record["config"]["dataset"].get("fractional", "refuse")
    try:
        return read_query(
            options.data,
            None if layer == "X" else layer,
            options.gene_key,
            batch_key if model.sees_batch or options.batch_key else None,
            fractional,
        )
    except BadInput as error:
        raise BadInput(_in_options(str(error))) from None


def _in_options(text: str) -> str:
    """A message about settings of a data set, in the words of this verb."""
    text = text.replace("leave dataset.layer out", "--layer=X")
    for key, option in (("layer", "--layer"), ("fractional", "--fractional")):
        text = text.replace(f"dataset.{key}=", f"{option}=")
    return text


def _batches(options: argparse.Namespace, query: "Query", model: "SavedModel") -> tuple[Any, list[str]]:
    """Codes of the model's batches for each cell, and what is to be said of batches that it does not know."""
    import numpy as np

    from bie.data.checks import examples
    from bie.methods.saved import NEW

    code = {name: i for i, name in enumerate(model.batches)}
    of_batch = np.array([code.get(name, NEW) for name in query.batches], np.int64)
    new = [name for name in query.batches if name not in code]
    if not model.sees_batch:
        return of_batch[query.batch_n], ["batches: not read by this model's encoder"]
    if not new:
        return of_batch[query.batch_n], [f"batches: all {len(query.batches)} are known to the model"]
    if options.new_batch == "refuse":
        raise BadInput(
            f"{options.data}: the model reads the batch of a cell and does not know {examples(new)}; it "
            f"knows {examples(model.batches)}. --new-batch mean: the mean over the batches that it knows"
        )
    return of_batch[query.batch_n], [f"batches: {examples(new)} unknown, the mean over all known ones taken"]


def _facts(record: Mapping[str, Any], matched: "Matched", options: argparse.Namespace) -> dict[str, Any]:
    """What ``uns`` says of the vectors; text, so that every reader of AnnData takes it."""
    import json

    from bie import __version__

    config, origin = record["config"], record["provenance"]
    return {
        **{name: record[name] for name in ("run_id", "config_id", "split_id", "seed")},
        "dataset": config["dataset"]["name"],
        "model": config["model"]["name"],
        "config": json.dumps(config, sort_keys=True),
        "trained_by": str(origin.get("packages", {}).get("bie", "")),
        "trained_source_sha256": str(origin.get("source_sha256", "")),
        "embedded_by": __version__,
        "genes_missing": len(matched.missing),
        "genes_surplus": len(matched.surplus),
        "new_batch": options.new_batch,
    }


if __name__ == "__main__":
    sys.exit(main())
