"""Recipes of images and what a user copies to a cluster: neither engine is here, but what they name is."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "slurm/cluster"


def copied() -> list[str]:
    """Files of the checkout that the recipes copy."""
    docker = re.findall(r"^COPY (\S+) ", (CLUSTER / "Dockerfile").read_text(), re.M)
    files = re.search(r"^%files\n((?: +\S+ \S+\n)+)", (CLUSTER / "bie.def").read_text(), re.M)
    assert files
    return [*docker, *(line.split()[0] for line in files[1].splitlines())]


def test_what_recipes_copy_is_there_or_made_by_scripts_wheel():
    built = [name for name in copied() if name.split("/")[0] == "dist"]
    assert built
    assert "build -d dist" in (ROOT / "scripts/wheel").read_text()
    assert not [name for name in copied() if name not in built and not (ROOT / name).is_file()]


def test_the_builder_is_sent_what_is_copied_and_no_more():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert "*" in lines
    assert sent == re.findall(r"^COPY (\S+) ", (CLUSTER / "Dockerfile").read_text(), re.M)


def test_both_recipes_do_the_same():
    """Of one Python and one lock, by the same steps."""
    docker, apptainer = ((CLUSTER / name).read_text() for name in ("Dockerfile", "bie.def"))
    image = re.search(r"^FROM (\S+)$", docker, re.M)
    assert image
    assert f"\nFrom: {image[1]}\n" in apptainer
    assert image[1].startswith("python:3.11")  # which requirements.lock serves
    for step in ("gcc libc6-dev", "--requirement /opt/bie/requirements.lock", "--no-deps /opt/bie/"):
        assert step in docker
        assert step in apptainer


@pytest.mark.parametrize("site", ["modules", "container"])
def test_sites_to_copy_can_be_launched(site):
    typed = ["hydra/launcher=submitit_slurm", f"site={site}"]
    settings = expand(typed, Configurations(configuration_folder(), CLUSTER)).settings
    assert settings.site.name == site
    assert settings.site.modules


def test_the_container_starts_python_with_what_it_is_given(tmp_path):
    """By a stand-in for apptainer that prints its arguments."""
    stand_in = tmp_path / "apptainer"
    stand_in.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    stand_in.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "BIE_IMAGE": "/p/my bie.sif"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    script = CLUSTER / Path(yaml.safe_load((CLUSTER / "site/container.yaml").read_text())["python"]).name

    def printed(**more: str) -> str:
        typed = [str(script), "-m", "job", "a b"]
        done = subprocess.run(typed, env=environment | more, capture_output=True, text=True, check=True)
        return str(done.stdout)

    inside = "/p/my bie.sif|env|--ignore-signal=USR2|python|-m|job|a b|"
    assert printed() == f"exec|{inside}"
    assert printed(CUDA_VISIBLE_DEVICES="0") == f"exec|--nv|{inside}"
