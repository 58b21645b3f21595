"""Which runs train together."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bie import devices
from bie.config import PenaltySection, RunConfig
from bie.execution.packs import Packing, packable
from bie.execution.run_spec import RunSpec
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id, scientific
from bie.store.record import write_record

Make = Callable[..., list[RunSpec]]


@pytest.fixture
def specs(configurations: Configurations) -> Make:
    """Tasks of a sweep, seed by seed."""

    def make(*typed: str, cells: str = "a") -> list[RunSpec]:
        found = expand(typed, configurations).combinations
        return [
            spec(each.config.model_copy(update={"seed": seed}), cells)
            for seed in found[0].seeds
            for each in found
        ]

    def spec(config, cells: str) -> RunSpec:
        plain = scientific(config, {"sha256": cells})
        del plain["seed"]
        name = config_id(plain)
        return RunSpec("", config, plain, name, Path(cells), {}, Path(name, str(config.seed)))

    return make


def sizes(specs: list[RunSpec], size: int = 100) -> list[int]:
    return [len(pack) for pack in Packing(size).packs(specs)]


@pytest.mark.parametrize(
    "typed",
    [
        ("seed=range(6)",),
        ("train.lr=1e-3,1e-2", "train.adam_eps=1e-8,0.01", "train.weight_decay=0,0.1"),
        ("train.kl.mode=warmup,beta", "train.kl.weight=0.5,1"),
        ("model=scvi_mine", "mine.scale=1,10", "mine.lr=1e-3,1e-2", "mine.ema=0.1,0.2"),
        ("model=scvi_mmd", "mmd.scale=1,10", "seed=0,1"),
        ("model=adversarial", "adversarial.scale=1,10", "adversarial.lr=1e-3,1e-2"),
        ("model=scvi_club", "club.scale=1,10", "club.lr=1e-3,1e-2"),
        ("model=scvi_hsic", "hsic.scale=1,10", "seed=0,1"),
        ("metrics.be.neighbours=10,20", "save.model=true"),
        ("split_seed=0,1", "init_seed=0,1", "order_seed=0,1", "noise_seed=0,1", "cluster_seed=0,1"),
    ],
)
def test_what_leaves_shapes_alone_goes_together(typed: tuple[str, ...], specs: Make):
    found = specs(*typed)
    assert sizes(found) == [len(found)]


def test_a_finished_run_that_lacks_a_file_trains_alone(
    specs: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As it did when its record was made: in a pack its numbers are rounded otherwise."""
    monkeypatch.chdir(tmp_path)
    found = specs("seed=range(4)", "save.model=true")
    write_record(found[1].folder, {}, {})
    assert sizes(found) == [3, 1]


@pytest.mark.parametrize(
    "swept",
    [
        "model=scvi,scvi_mine",
        "model.n_hidden=10,20",
        "model.n_latent=2,3",
        "model.dropout=0.1,0.2",
        "model.library=modelled,observed",
        "train.epochs=3,4",
        "train.batch_size=64,128",
        "split.train_fraction=0.5,0.6",
        "model=noise seed=0,1",
        "model=scvi_mmd mmd.estimator=fast seed=0,1",
        "model=scvi_mine mine.critic_training=none seed=0,1",
        "model=scvi_mine mine.steps=1,2",
        "model=scvi_mine mine.warm_start=0,2",
        "model=adversarial adversarial.objective=reversal,uniform",
    ],
)
def test_what_does_not_is_apart(swept: str, specs: Make):
    assert sizes(specs(*swept.split())) == [1, 1]


def test_other_cells_are_apart(specs: Make):
    assert sizes([*specs(cells="a"), *specs(cells="b"), *specs("seed=1", cells="a")]) == [2, 1]


def test_controls_and_what_cannot_be_stacked(specs: Make):
    kinds = ("model=scvi,scvi_mmd,pca", "mmd.estimator=fast")
    assert [packable(spec.config) for spec in specs(*kinds)] == [True, False, False]


class Silent(PenaltySection):
    """Somebody's penalty, which declares nothing of packs."""

    lr: float


class Declared(Silent):
    """One that does."""

    free = ("scale",)

    @property
    def packs(self) -> bool:
        return True


class Extended(RunConfig):
    own: Declared | Silent | None = None


@pytest.mark.parametrize(
    ("section", "expected"),
    [(Silent, [[0], [1], [2], [3]]), (Declared, [[0, 1, 2], [3]])],
)
def test_a_penalty_is_packed_only_if_its_section_says_so(
    section: type[Silent], expected: list[list[int]], specs: Make
):
    owns = [section(scale=scale, lr=lr) for scale, lr in ((1, 0.1), (1, 0.1), (10, 0.1), (1, 0.2))]
    found = [
        replace(spec, config=Extended(**dict(spec.config), own=own), config_id=spec.folder.name + str(own))
        for spec, own in zip(specs("seed=range(4)"), owns, strict=True)
    ]
    assert [[found.index(each) for each in pack] for pack in Packing(100).packs(found)] == expected


def test_packs_come_in_the_order_of_their_first_runs(specs: Make):
    found = specs("model=scvi,scvi_mine", "seed=range(5)")
    packs = Packing(2).packs(found)
    assert [[(spec.config.model.name, spec.config.seed) for spec in pack] for pack in packs] == [
        [(model, seed) for seed in seeds]
        for seeds in ((0, 1), (2, 3), (4,))
        for model in ("scvi", "scvi_mine")
    ]
    assert Packing(1).packs(found) == [(spec,) for spec in found]


def test_left_to_us_a_cpu_packs_nothing_and_a_gpu_gives_each_worker_its_share(
    specs: Make, monkeypatch: pytest.MonkeyPatch
):
    found = specs("seed=range(7)")

    def packs(device: str, has_cuda: bool) -> list[int]:
        monkeypatch.setattr(devices, "has_cuda", lambda: has_cuda)
        return [len(pack) for pack in Packing(None, device, n_workers=3).packs(found)]

    assert packs("auto", False) == packs("cpu", True) == [1] * 7
    assert packs("auto", True) == packs("cuda", True) == [3, 3, 1]


def test_cores_are_shared_by_the_workers_that_have_a_pack(specs: Make, configurations: Configurations):
    found = specs("seed=range(5)")

    def packing(n_workers: int, cores: int, *typed: str) -> tuple[int, int]:
        settings = expand(typed, configurations).settings
        how = Packing.of(settings, found, n_workers, cores)
        return how.n_workers, how.n_scorers

    assert packing(2, 16) == (2, 8)
    assert packing(16, 16) == (5, 3)
    assert packing(16, 16, "pack=4") == (2, 8)
    assert packing(16, 16, "pack=5") == (1, 16)
    assert packing(2, 1, "pack=4") == (2, 1)


def test_a_gpu_has_one_worker_unless_more_are_asked_for(
    specs: Make, configurations: Configurations, monkeypatch: pytest.MonkeyPatch
):
    found = specs("seed=range(8)")

    def packing(*typed: str, has_cuda: bool = True) -> tuple[int, int]:
        monkeypatch.setattr(devices, "has_cuda", lambda: has_cuda)
        how = Packing.of(expand(typed, configurations).settings, found, n_workers=4, cores=16)
        return how.n_workers, how.n_scorers

    assert packing("device=cuda") == packing("device=auto") == (1, 16)
    assert packing("device=auto", has_cuda=False) == packing("device=cpu") == (4, 4)
    assert packing("device=cuda", "hydra.launcher.workers=4") == (4, 4)
    assert packing("device=cuda", "pack=2") == (4, 4)


@pytest.mark.parametrize(
    ("quota", "slurm", "expected"),
    [
        (None, None, 8),
        ("max 100000\n", None, 8),
        ("250000 100000\n", None, 2),
        ("50000 100000\n", None, 1),
        (None, "4", 4),
        (None, "64", 8),
        ("300000 100000\n", "4", 3),
    ],
)
def test_cores_are_those_that_we_may_use(
    quota: str | None, slurm: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(devices, "_QUOTA", tmp_path / "cpu.max")
    if quota:
        (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if slurm:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
    assert devices.cores() == expected


def test_nothing_is_lost(specs: Make):
    found = specs("model=scvi,scvi_mmd,noise", "mmd.scale=1,2", "seed=range(3)")
    packed = [spec for pack in Packing(4).packs(found) for spec in pack]
    assert sorted(str(spec.folder) for spec in packed) == sorted(str(spec.folder) for spec in found)
