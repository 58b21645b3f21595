"""Wheel and sdist hold what an installation needs, and the wheel runs without a checkout."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import bie

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with both, built as ``pip`` would, in the environment at hand."""
    folder: Path = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def test_an_unpacked_wheel_plans_in_an_empty_folder(built, tmp_path):
    """With the packages of this environment and nothing of this checkout."""
    (wheel,) = built.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        names = archive.namelist()
    assert not [name for name in names if not name.startswith(("bie/", "hydra_plugins/", "bie-"))]
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    code = "import bie, sys; from bie.cli import main; print(bie.__file__); sys.exit(main(sys.argv[1:]))"
    typed = ["plan", "model=scvi,scvi_mine", "mine.scale=1,2", "dataset.size=smoke", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *typed],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    where, plan = done.stdout.split("\n", 1)
    assert Path(where).is_relative_to(site)
    assert '"runs": 3' in plan
    assert not list(empty.iterdir())


def test_the_wheel_carries_what_is_read_at_run_time(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "src/bie"
    code = {f"bie/{path.relative_to(package)}" for path in package.rglob("*.*") if path.suffix != ".pyc"}
    configuration = {f"bie/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert not (code | configuration | {"bie/requirements.lock"}) - names


def test_the_sdist_holds_what_a_wheel_is_built_from_and_no_results(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "conf/config.yaml",
        "requirements.lock",
        "tests/conftest.py",
    } <= names
    assert not [name for name in names if name.startswith(("outputs", ".venv", "build/", "dist/"))]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert citation["version"] == bie.__version__
    assert f'license = "{citation["license"]}"' in project
    assert citation["cff-version"] == "1.2.0"
    for reference in citation["references"]:
        assert reference.keys() >= {"type", "title", "authors"}
        assert re.fullmatch(r"[0-9./a-z_-]+", reference.get("doi", "10.1/x"))
