"""`bie embed` on models of finished runs: their own cells, others, what cannot be embedded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from bie.embed import main
from bie.plan import main as plan
from bie.run import main as run
from tests.probes import linear

pytestmark = pytest.mark.usefixtures("linear_probes")
MODELS = {
    "scvi": ("model=scvi", "dataset.n_top_genes=25", "dataset.hvg=pearson_residuals"),
    "torch": ("model=scvi_mine", "model.likelihood=poisson", "mine.steps=1"),
    "sees_batch": ("model=scvi", "model.encode_covariates=true"),
}
SHORT = ("train=smoke", "train.epochs=1", "metrics.kmeans.n_init=1", "hydra.launcher.workers=0")
SAVED = ("save.model=true", "save.embedding=true")
Embed = Callable[..., tuple[int, str]]


def cells(n: int = 150, seed: int = 0) -> anndata.AnnData:
    """Counts in a layer, their logarithm in X; the last cell has one count."""
    random = np.random.default_rng(seed)
    x_ng = random.poisson(random.gamma(1.0, 2.0, 40) * random.gamma(5.0, 0.2, (n, 1))).astype(np.float32)
    x_ng[:, 0] += 1
    x_ng[-1] = np.arange(40) == 0
    obs = pd.DataFrame(
        {"sample": np.array(["a", "b", "c"])[np.arange(n) % 3]}, [f"cell{i}" for i in range(n)]
    )
    data = anndata.AnnData(
        sp.csr_matrix(np.log1p(x_ng)), obs, pd.DataFrame(index=[f"g{i}" for i in range(40)])
    )
    data.layers["counts"] = sp.csr_matrix(x_ng)
    data.var["symbol"] = [f"SYM{i}" for i in range(40)]
    return data


def study_words(root: Path, name: str) -> list[str]:
    dataset = ("dataset=h5ad", f"dataset.path={root / 'own.h5ad'}", "dataset.layer=counts")
    more = (
        "dataset.batch_key=sample",
        "dataset.min_counts=2",
        f"outputs={root / 'out'}",
        f"study.name={name}",
    )
    return [*dataset, *more, *SHORT]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each model, and of one that trains nothing; folders by name."""
    root = tmp_path_factory.mktemp("study")
    cells().write_h5ad(root / "own.h5ad")
    runs = {name: (*typed, *SAVED) for name, typed in MODELS.items()}
    runs |= {
        "unsaved": ("model=scvi", "seed=1"),
        "again": MODELS["scvi"],
        "pca": ("model=pca", "save.model=true"),
    }
    found = {"root": root}
    with pytest.MonkeyPatch.context() as patch:
        linear(patch)
        for name, typed in runs.items():
            assert run([*study_words(root, name), *typed]) == 0
            (record,) = (root / "out" / "v1" / name).rglob("record.json")
            found[name] = record.parent
    return found


@pytest.fixture
def embed(study: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Embed:
    def call(name: str, data: Path | anndata.AnnData | None = None, *more: str) -> tuple[int, str]:
        if isinstance(data, anndata.AnnData):
            data.write_h5ad(tmp_path / "query.h5ad")
            data = tmp_path / "query.h5ad"
        where = ["--data", str(data or study["root"] / "own.h5ad"), "--out", str(tmp_path / "out.h5ad")]
        capsys.readouterr()
        code = main([str(study[name]), *where, "--outputs", str(study["root"] / "out"), *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def written(tmp_path: Path) -> anndata.AnnData:
    return anndata.read_h5ad(tmp_path / "out.h5ad")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("order", ["as it was", "shuffled"])
def test_the_cells_of_the_run_get_its_vectors(
    name: str, order: str, study: dict[str, Path], embed: Embed, tmp_path: Path
):
    data = cells()
    if order == "shuffled":
        random = np.random.default_rng(1)
        data = data[random.permutation(data.n_obs), random.permutation(data.n_vars)].copy()
    code, said = embed(name, data)
    assert code == 0, said
    saved = np.load(study[name] / "embedding.npz")
    out = written(tmp_path)
    own = pd.DataFrame(out.obsm["X_bie"], out.obs_names).loc[saved["cell"]].to_numpy()
    assert out.n_obs == 150  # with the one that had too few counts to be trained on
    assert saved["z"].shape == (149, 10)
    np.testing.assert_array_equal(own, saved["z"])


def test_the_copy_holds_what_the_file_held_and_says_whose_vectors_these_are(
    study: dict[str, Path], embed: Embed, tmp_path: Path
):
    data = cells()
    data.obsm["X_pca"], data.uns["note"] = np.ones((150, 2)), "kept"
    code, said = embed("scvi", data)
    assert code == 0
    assert "genes: 25 of the model's 25 found by name" in said
    assert "15 genes that the model lacks, left out: " in said
    out, record = written(tmp_path), json.loads((study["scvi"] / "record.json").read_text())
    assert out.uns["note"] == "kept"
    assert (out.obsm["X_pca"] == 1).all()
    assert (out.X != data.X).nnz == 0
    assert {k: out.uns["bie"][k] for k in ("run_id", "config_id", "split_id", "model")} == {
        **{k: record[k] for k in ("run_id", "config_id", "split_id")},
        "model": "scvi",
    }
    assert json.loads(out.uns["bie"]["config"]) == record["config"]


def test_a_gene_that_is_missing_is_taken_as_zero(embed: Embed, tmp_path: Path):
    lacks, zero = cells(), cells()
    zero.layers["counts"] = sp.csr_matrix(zero.layers["counts"].toarray() * (np.arange(40) != 3))
    code, said = embed("torch", lacks[:, np.arange(40) != 3].copy())
    assert code == 0
    assert "genes: 39 of the model's 40 found by name\n  1 gene missing, taken as 0: g3" in said
    first = written(tmp_path).obsm["X_bie"]
    (tmp_path / "out.h5ad").unlink()
    assert embed("torch", zero)[0] == 0
    np.testing.assert_array_equal(first, written(tmp_path).obsm["X_bie"])


def test_too_few_genes_are_refused_with_their_share(embed: Embed, tmp_path: Path):
    few = cells()[:, :20].copy()
    code, said = embed("torch", few)
    assert code == 2
    (line,) = said.splitlines()
    assert "20 of the model's 40 genes (50%) are in it by name, 80% are needed" in line
    assert not (tmp_path / "out.h5ad").exists()
    for share in ("nan", "-0.1", "40"):
        assert embed("torch", few, "--least-genes", share) == (
            2,
            f"--least-genes {share}: must be a share of the model's genes, 0 to 1\n",
        )
    assert embed("torch", few, "--least-genes", "0.5")[0] == 0


def test_genes_may_be_named_in_a_column(embed: Embed):
    data = cells()
    data.var["id"], data.var_names = data.var_names, data.var["symbol"].tolist()
    code, said = embed("torch", data)
    assert code == 2
    assert "--gene-key" in said
    assert "is not in var; there are: symbol, id" in embed("torch", data, "--gene-key", "ids")[1]
    assert embed("torch", data, "--gene-key", "id")[0] == 0


def test_genes_that_share_a_name_are_matched_by_their_order_and_named(embed: Embed, tmp_path: Path):
    """Which of two genes of one name is which, nothing but their order tells: so that is said."""
    data = cells()
    data.var["twice"] = [f"g{2 if i == 5 else i}" for i in range(40)]
    code, said = embed("torch", data, "--gene-key", "twice")
    assert code == 0
    assert "  1 name more than once in the file (g2): the first is taken for the first" in said
    assert "g2-1" in said  # the other one, left out
    (tmp_path / "out.h5ad").unlink()
    assert "more than once" not in embed("torch", cells())[1]


def test_what_reading_the_counts_changed_is_said(embed: Embed):
    data = cells()
    data.layers["counts"] = sp.csr_matrix(
        data.layers["counts"].toarray() + 0.2 * (np.arange(150) == 7)[:, None]
    )
    code, said = embed("torch", data, "--fractional", "round")
    assert code == 0
    assert 'layers["counts"]: --fractional=round changed 40 of its' in said


def test_new_batches(embed: Embed, tmp_path: Path):
    """Of no account to an encoder that does not read them; else refused, or the mean over the known ones."""
    new = cells(30, seed=5)
    new.obs["sample"] = "donor9"
    code, said = embed("torch", new)
    assert code == 0
    assert "batches: not read by this model's encoder" in said
    (tmp_path / "out.h5ad").unlink()
    code, said = embed("sees_batch", new)
    assert code == 2
    assert "does not know donor9; it knows a, b, c. --new-batch mean" in said
    each = []
    for batch in "abc":
        new.obs["sample"] = batch
        assert embed("sees_batch", new)[0] == 0
        each.append(written(tmp_path).obsm["X_bie"])
        (tmp_path / "out.h5ad").unlink()
    assert not np.allclose(each[0], each[1])
    new.obs["sample"] = np.where(np.arange(30) < 20, "donor9", "b")
    code, said = embed("sees_batch", new, "--new-batch", "mean")
    assert code == 0
    assert "donor9 unknown, the mean over all known ones taken" in said
    z = written(tmp_path).obsm["X_bie"]
    np.testing.assert_allclose(z[:20], np.mean(each, axis=0)[:20], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(z[20:], each[1][20:], rtol=1e-5, atol=1e-6)


def test_values_that_are_no_counts_are_refused_in_the_words_of_the_verb(embed: Embed):
    code, said = embed("scvi", None, "--layer", "X")
    assert code == 2
    assert 'layers that hold counts: "counts" -> --layer=counts' in said
    assert "dataset." not in said


@pytest.mark.filterwarnings("ignore:Writing zarr")  # format 2, which anndata still writes
def test_a_store_and_raw_counts(study: dict[str, Path], embed: Embed, tmp_path: Path):
    data = cells()
    raw = anndata.AnnData(data.layers["counts"], data.obs, data.var)
    data.raw = raw
    del data.layers["counts"]
    data.write_zarr(tmp_path / "query.zarr")
    for out in ("out.zarr", "out.h5ad"):
        where = ["--data", str(tmp_path / "query.zarr"), "--out", str(tmp_path / out), "--layer", "raw.X"]
        assert main([str(study["scvi"]), *where]) == 0
    saved = np.load(study["scvi"] / "embedding.npz")
    for found in (anndata.read_zarr(tmp_path / "out.zarr"), written(tmp_path)):
        own = pd.DataFrame(found.obsm["X_bie"], found.obs_names).loc[saved["cell"]].to_numpy()
        np.testing.assert_array_equal(own, saved["z"])


def test_a_cell_without_counts_is_said(embed: Embed):
    data = cells()
    data.layers["counts"] = sp.csr_matrix(data.layers["counts"].toarray() * (np.arange(150) != 7)[:, None])
    assert "  1 cell has no count in these genes" in embed("torch", data)[1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unsaved", "has no model.pt: it was run without save.model=true. bie embed --again"),
        ("pca", "pca trains no model that could embed other cells"),
    ],
)
def test_runs_without_a_model_say_so(name: str, says: str, embed: Embed):
    code, said = embed(name)
    assert code == 2
    (line,) = said.splitlines()
    assert says in line


def test_a_run_without_a_model_is_trained_anew_and_held_against_its_record(
    study: dict[str, Path], embed: Embed, tmp_path: Path
):
    folder = study["again"]
    path = folder / "record.json"
    before = path.read_text()
    other = json.loads(before)
    other["metrics"]["test"]["be"] += 1e-12
    path.write_text(json.dumps(other))
    code, said = embed("again", None, "--again")
    assert code == 2
    assert "numbers are not those of its record (test.be is" in said
    assert not (folder / "model.pt").exists()
    path.write_text(before)
    shutil.rmtree(study["root"] / "out" / "v1" / ".cells")  # as is done to save room
    code, said = embed("again", None, "--again")
    assert code == 0, said
    assert "all numbers are those of its record" in said
    assert path.read_text() == before
    assert {file.name for file in folder.iterdir()} == {"record.json", "history.csv", "model.pt"}
    out = written(tmp_path).obsm["X_bie"]
    (tmp_path / "out.h5ad").unlink()
    assert embed("again")[0] == 0
    np.testing.assert_array_equal(out, written(tmp_path).obsm["X_bie"])


def test_files_asked_for_later_are_made_by_training_anew(
    study: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    typed, folder = [*study_words(study["root"], "unsaved"), "model=scvi", "seed=1,2"], study["unsaved"]
    before = (folder / "record.json").read_text()
    assert plan([*typed, *SAVED]) == 0
    said = capsys.readouterr().out
    assert "0 done already, 2 to do" in said
    assert "save.model=true: 1 run of these finished without model.pt; trained anew for it" in said
    assert run(["-m", *typed, *SAVED]) == 0
    assert "done 2.   exit 0" in capsys.readouterr().out
    assert {"model.pt", "embedding.npz"} < {file.name for file in folder.iterdir()}
    assert (folder / "record.json").read_text() == before
    assert run(["-m", *typed, *SAVED]) == 0
    assert "2 were done before" in capsys.readouterr().out
    other = json.loads(before)
    other["metrics"]["train"]["elbo"] += 1e-9
    (folder / "record.json").write_text(json.dumps(other))
    (folder / "model.pt").unlink()
    assert run(["-m", *typed, *SAVED]) == 1
    assert "failed 1 (differs: 1)" in capsys.readouterr().out
    assert not (folder / "model.pt").exists()
    assert json.loads((folder / "record.json").read_text()) == other
    assert not (folder / "failed.json").exists()


def test_nothing_is_overwritten(study: dict[str, Path], embed: Embed, tmp_path: Path):
    (tmp_path / "out.h5ad").write_text("mine")
    code, said = embed("scvi")
    assert code == 2
    assert "is there already" in said
    assert (tmp_path / "out.h5ad").read_text() == "mine"
    own = str(study["root"] / "own.h5ad")
    assert main([str(study["scvi"]), "--data", own, "--out", own]) == 2


def test_no_code_of_a_model_file_is_run(study: dict[str, Path], embed: Embed, tmp_path: Path):
    """A pickle that would write a file is refused unread; so are half a file and an earlier bie's."""

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "touched",)

    path = study["scvi"] / "model.pt"
    whole = path.read_bytes()
    try:
        torch.save({"state": Hostile()}, path)
        code, said = embed("scvi")
        assert code == 2
        assert "no saved model, or a damaged one" in said
        assert not (tmp_path / "touched").exists()
        path.write_bytes(whole[: len(whole) // 2])
        assert embed("scvi")[0] == 2
        torch.save({"state": {}, "genes": [], "batches": [], "labels": []}, path)
        assert "lacks cells, settings, it was saved by an earlier bie" in embed("scvi")[1]
    finally:
        path.write_bytes(whole)
