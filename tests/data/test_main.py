"""The verb ``bie data`` as a user types it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from bie.data import card
from bie.data.__main__ import main
from bie.data.card import Card
from bie.data.datasets import h5ad, pbmc
from bie.data.datasets.h5ad import H5ad
from bie.data.describe import command
from bie.data.download import Remote

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bie"


def test_help_is_quick_and_light() -> None:
    code = "import sys; sys.argv=['x', '--help']\nfrom bie.data.__main__ import main\n"
    code += "heavy = ('torch', 'scanpy', 'anndata', 'numpy')\n"
    code += "try: main()\nfinally: print([m for m in heavy if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "usage: bie data" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_lists_every_data_set_and_whether_it_is_here(
    cache: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    have = Card("pbmc", "cells", "1 x 1", "2", "9", (Remote("a", (), empty, 1),))
    monkeypatch.setattr(pbmc, "CARD", have)
    (cache / "pbmc").mkdir(parents=True)
    (cache / "pbmc" / "a").touch()
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert {line.split()[0] for line in listed.splitlines() if line[0] != " "} == {"name", *card.cards()}
    assert f"downloaded: {cache / 'pbmc'}\n" in listed
    assert "not downloaded (1 file): bie data fetch retina" in listed
    assert re.search(r"^retina +19,829 x 13,166 +2 +15 ", listed, re.M)


def test_cards_carry_the_name_of_their_module() -> None:
    assert {name: found.name for name, found in card.cards().items()} == {
        name: name for name in ("factors", "h5ad", "pbmc", "retina", "tenx", "zinb")
    }


@pytest.mark.usefixtures("no_network")
def test_fetch_without_network(cache: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["fetch", "pbmc"]) == 2
    captured = capsys.readouterr()
    assert captured.out == f"pbmc: 4 files (60 MB) to download to {cache / 'pbmc'}\n"
    assert "pbmc needs 4 files (60 MB) and the download failed" in captured.err
    assert main(["fetch", "pbmc", "--to", str(tmp_path / "here")]) == 2
    assert f"or put into {tmp_path / 'here'}:" in capsys.readouterr().err


def test_fetch_of_what_is_here(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pbmc, "CARD", Card("pbmc", "", "", "", "", (Remote("a", (), "md5:0", 1),)))
    monkeypatch.setattr("bie.data.download.missing", lambda files, folder: [])
    assert main(["fetch", "pbmc", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"pbmc is in {tmp_path}",
        f"to use it: dataset=pbmc dataset.cache={tmp_path}",
    ]


@pytest.mark.parametrize("name", ["zinb", "pbcm"])
def test_fetch_of_something_else(name: str, capsys: Capture) -> None:
    assert main(["fetch", name]) == 2
    assert capsys.readouterr().err == f"{name} is no data set to download. There are: pbmc, retina\n"


@pytest.mark.parametrize("arguments", [["frobnicate"], ["fetch"], ["describe"], ["fetch", "a", "b"]])
def test_bad_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_describe_a_good_file(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.layers["counts"] = adata.X
    adata.X = np.log1p(adata.X.toarray())
    adata.obs["tissue"] = ["a", "b", "c"] * 20
    path = tmp_path / "my data=1.h5ad"
    adata.write_h5ad(path)
    assert main(["describe", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: 60 cells x 30 genes"
    assert re.fullmatch(r"  X +dense float32 +no counts: holds \d\.\d+", lines[2])
    assert re.fullmatch(r'  layers\["counts"\] +csr float32 +raw counts', lines[3])
    assert re.fullmatch(r"  batch +3  early 20, late 20, mid 20", lines[5])
    assert not [line for line in lines if line.split()[0] == "score"]

    overrides = shlex.split(lines[-1])[3:]
    parsed = OverridesParser.create().parse_overrides(overrides)
    assert [(str(o.key_or_group), str(o.value())) for o in parsed] == [
        ("dataset", "h5ad"),
        ("dataset.path", str(path)),
        ("dataset.layer", "counts"),
        ("dataset.batch_key", "batch"),
        ("dataset.label_key", "cell_type"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "batch",
        "my batch",
        "it's",
        "a=b,c",
        "null",
        "7",
        "1e3",
        "1_000",
        "1.50",
        "Infinity",
        "[x]",
        "back\\slash",
        "end\\",
        "\\'",
        "é",
        "a${x}",
        "\\${oc.env:HOME}",
        "$x",
    ],
)
def test_the_command_line_survives_shell_and_hydra(name: str) -> None:
    settings = H5ad(source="h5ad", name="h5ad", path=Path("x"), layer=None, batch_key=name, label_key=None)
    override = shlex.split(command(settings))[-1]
    parsed = OverridesParser.create().parse_override(override)
    value = parsed.value()
    assert value is not None
    assert OmegaConf.create({"_": str(value)})["_"] == name


def test_describe_a_file_that_cannot_be_used(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "norm.h5ad"
    adata.X = np.log1p(adata.X.toarray())
    adata.write_h5ad(path)
    assert main(["describe", str(path)]) == 2
    captured = capsys.readouterr()
    assert "no counts: holds" in captured.out
    assert "  batch" in captured.out
    assert re.search(
        r"which is not a count: .* scVI models raw counts; .*no matrix of this file holds counts",
        captured.err,
    )

    del adata.obs["batch"], adata.obs["cell_type"], adata.obs["day"]
    adata.write_h5ad(path)
    assert main(["describe", str(path)]) == 2
    captured = capsys.readouterr()
    assert "no column of obs names groups" in captured.out
    assert "no column of obs can tell batches. Add one" in captured.err

    assert main(["describe", str(tmp_path / "nowhere.h5ad")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_describe_guesses_columns_by_name(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.obs = adata.obs.rename(columns={"batch": "Donor_ID", "cell_type": "leiden"})
    adata.write_h5ad(tmp_path / "x.h5ad")
    assert main(["describe", str(tmp_path / "x.h5ad")]) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith("dataset.batch_key=Donor_ID dataset.label_key=leiden")
    )


def test_what_describe_suggests_loads(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.write_h5ad(tmp_path / "x.h5ad")
    main(["describe", str(tmp_path / "x.h5ad")])
    suggested = shlex.split(capsys.readouterr().out.splitlines()[-1])[4:]
    given = dict(override.removeprefix("dataset.").split("=") for override in suggested)
    cells = h5ad.load(H5ad.model_validate({"source": "h5ad", "name": "h5ad", "layer": None} | given))
    assert (cells.n_batches, cells.n_labels) == (3, 2)


def described(adata: anndata.AnnData, path: Path, capsys: Capture) -> list[str]:
    adata.write_h5ad(path)
    assert main(["describe", str(path)]) == 0
    return capsys.readouterr().out.splitlines()


def test_describe_names_the_second_best(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.obs["leiden"] = np.arange(60) // 10 % 4
    lines = described(adata, tmp_path / "x.h5ad", capsys)
    assert lines[-4:-2] == ["batches: batch; second best: day", "cell types: cell_type; second best: leiden"]


def test_describe_ranks_the_matrices_that_hold_counts(
    adata: anndata.AnnData, tmp_path: Path, capsys: Capture
) -> None:
    counts = adata.X.copy()
    for name, layer in {"ambiguous": counts * 2, "binary": counts > 0, "umi_counts": counts}.items():
        adata.layers[name] = layer
    adata.raw = adata.copy()
    adata.X = counts.log1p()
    lines = described(adata, tmp_path / "x.h5ad", capsys)
    others = 'raw.X, layers["ambiguous"], layers["binary"]'
    assert lines[-5] == f'counts: layers["umi_counts"]; second best: {others}'
    assert "dataset.layer=umi_counts " in lines[-1]


def test_describe_a_pattern(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    pattern = tmp_path / "*.h5ad"
    lines = described(adata, tmp_path / "b.h5ad", capsys)
    assert main(["describe", str(pattern)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"{pattern}: 2 files, of which this is the first:",
        f"{tmp_path}/a.h5ad: 60 cells x 30 genes",
    ]
    assert lines[-4] == "batches: file; second best: batch"
    assert lines[-1].endswith("/*.h5ad'\"'\"'' dataset.batch_key=file dataset.label_key=cell_type")


def test_describe_says_what_could_mislead(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    adata.obs["batch"] = np.where(np.arange(60) < 5, "nan", adata.obs["cell_type"])
    lines = described(adata, tmp_path / "x.h5ad", capsys)
    notes = [line for line in lines if line.startswith("note: ")]
    assert 'note: dataset.batch_key=batch: 5 cells are in a group called "nan"' in notes[0]
    assert notes[1] == "note: 2 of 3 batches hold one cell type only (B, T)"
    assert "batch and cell type go together: Cramér's V" in notes[2]


def test_names_cannot_end_a_line_or_steer_the_terminal(
    adata: anndata.AnnData, tmp_path: Path, capsys: Capture
) -> None:
    adata.obs["batch"] = pd.Categorical(["a\nb", "\x1b[31mred", "A\nB"] * 20)
    adata.write_h5ad(tmp_path / "odd.h5ad")
    assert main(["describe", str(tmp_path / "odd.h5ad")]) == 0
    said = capsys.readouterr().out
    assert "  \\x1b[31mred 20, A\\nB 20, a\\nb 20\n" in said
    assert '"A\\nB", "a\\nb" differ by case' in said
    assert "\x1b" not in said


def test_describe_lists_what_cannot_be_read(adata: anndata.AnnData, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["obs/score"].attrs["encoding-type"] = "future-array"
        file.create_group("layers/odd").attrs["encoding-type"] = "future-matrix"
    assert main(["describe", str(path)]) == 0
    out = capsys.readouterr().out
    assert 'cannot be read: obs["score"] has the encoding "future-array"' in out
    assert re.search(r'  layers\["odd"\] +has the encoding "future-matrix"', out)


def test_describe_more_than_200_batches(tmp_path: Path, capsys: Capture) -> None:
    obs = pd.DataFrame({"donor": [f"d{n % 300}" for n in range(900)]}, [f"c{n}" for n in range(900)])
    x_ng = 1 + np.random.default_rng(0).poisson(1.0, (900, 5)).astype(np.float32)
    lines = described(anndata.AnnData(x_ng, obs), tmp_path / "x.h5ad", capsys)
    assert "columns with more than 200 values, which can be chosen as well: donor (300)" in lines
    assert lines[-1].endswith("dataset.batch_key=donor")
