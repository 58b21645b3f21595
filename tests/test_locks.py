"""The files of versions say the same: the locks, those with hashes, and the pylock.toml made on demand."""

import random
import re
import runpy
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AGREE = runpy.run_path(str(ROOT / "scripts" / "locks_agree"))
A, B, C = ("a" * 64, "b" * 64, "c" * 64)

LOCK = f"""# Made by scripts/hashes, which says how to install it.
harmless==1.2 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
on-linux==3.0 ; sys_platform == 'linux' \\
    --hash=sha256:{C}
"""
PYLOCK = f"""lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "harmless"
version = "1.2"
sdist = {{ url = "https://index.invalid/harmless-1.2.tar.gz", hashes = {{ sha256 = "{A}" }} }}

[[packages]]
name = "on-linux"
version = "3.0"
wheels = [{{ url = "https://index.invalid/on_linux-3.0-py3-none-any.whl", hashes = {{ sha256 = "{C}" }} }}]
"""


def differences(lock: str, pylock: str) -> list[str]:
    return list(AGREE["differences"](AGREE["of_requirements"](lock), AGREE["of_pylock"](pylock)))


def test_a_pylock_with_the_files_of_one_kind_of_machine_agrees() -> None:
    assert differences(LOCK, PYLOCK) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version = "1.2"', 'version = "1.3"', "harmless: 1.2 and 1.3"),
        (C, B, "on-linux: 3.0 has other files"),
        ('name = "on-linux"', 'name = "onlinux"', "on-linux: in one of the two only"),
        ("wheels = [", "attestations = [", "on-linux: 3.0 has other files"),
    ],
)
def test_what_differs_is_named(old: str, new: str, said: str) -> None:
    assert said in differences(LOCK, PYLOCK.replace(old, new))


@pytest.mark.parametrize("suffix", ["", "-3.12"])
def test_the_locks_with_hashes_have_the_versions_of_the_lock(suffix: str) -> None:
    plain = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / f"requirements{suffix}.lock").read_text(), re.M))
    expected = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in plain.items()}
    for kind, missing in (("hashed", {"torch"}), ("cuda", set())):
        found = AGREE["of_requirements"]((ROOT / f"requirements-{kind}{suffix}.lock").read_text())
        versions = {name: version for name, (version, _) in found.items()}
        assert expected.items() - versions.items() == {(name, expected[name]) for name in missing}
        assert all(hashes for _, hashes in found.values())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-3.12.lock"])
def test_a_lock_is_as_its_script_writes_the_same_packages_in_whatever_order(name: str) -> None:
    lock = (ROOT / name).read_text()
    packages = [re.sub("^torch==.*", r"\g<0>+cpu", line) for line in lock.splitlines()[1:]]
    packages += ["nvidia-cublas==13.1", "triton==3.7"]
    random.Random(0).shuffle(packages)
    function = re.search(r"^as_lock\(\) \{\n.*?^\}\n", (ROOT / "scripts/lock").read_text(), re.M | re.S)
    assert function
    command = ["bash", "-euo", "pipefail", "-c", f'{function[0]}as_lock "$1"', "lock", name]
    done = subprocess.run(command, input="\n".join(packages), capture_output=True, text=True, check=True)
    assert done.stdout == lock
