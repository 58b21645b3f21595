import hashlib
import os
import re
import sys
from pathlib import Path

import pytest

from bie.store.provenance import ENVIRONMENT, LOCKS, provenance, source_files


def test_only_allowed_environment_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    provenance.cache_clear()
    facts = provenance()
    assert "hunter2" not in str(facts)
    assert facts["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert set(facts["environment"]) <= set(ENVIRONMENT)
    provenance.cache_clear()


def test_code_packages_and_machine_are_named():
    facts = provenance()
    assert {"torch", "numpy", "scikit-learn"} <= set(facts["packages"])
    assert re.fullmatch("[0-9a-f]{64}", facts["source_sha256"])
    assert facts["device"]["type"] == "cpu"
    assert facts["host"] == os.uname().nodename


def test_the_lock_is_hashed():
    name = "requirements.lock" if sys.version_info < (3, 12) else "requirements-3.12.lock"
    lock = Path(__file__).parents[2] / name
    assert provenance()["lock_sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()


def test_snapshot_holds_code_and_configuration():
    names = {name for name, _ in source_files()}
    assert {"src/bie/experiment.py", "conf/config.yaml", "conf/model/scvi_mine.yaml"} <= names
    assert names >= set(LOCKS)  # the code is the same for every Python, whose lock is noted beside it


def test_what_decides_on_the_last_digits_is_named():
    import torch

    provenance.cache_clear()
    numerics = provenance()["numerics"]
    assert numerics["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert any("openblas" in pool for pool in numerics["threadpools"])
    assert numerics["deterministic_algorithms"] is False
    assert provenance()["machine"]["cores"] >= 1
