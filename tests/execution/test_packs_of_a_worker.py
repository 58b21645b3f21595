"""A pack from claims to records, and everything that can come in between."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from bie import devices
from bie.errors import BadInput
from bie.execution import worker
from bie.execution.packs import Packing, bytes_of_cells, bytes_of_run, max_pack_size
from bie.execution.recording import cells_on
from bie.execution.run_spec import RunSpec
from bie.experiment import Experiment
from bie.kinds import begun
from bie.store.claims import CLAIM, take
from bie.store.owner import Owner
from bie.store.record import CHECKPOINT, FAILED, HISTORY, RECORD
from tests.execution.packs import Make, Watch, record, run

MINE = ("model=scvi_mine", "mine.scale=1,100", "mine.steps=1")


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Leaves of nested dicts."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for k, inner in value.items() for key, leaf in flat(inner, f"{name}.{k}").items()}


def same_records(packed: Sequence[RunSpec], solo: Sequence[RunSpec]) -> None:
    """Equal but for time, provenance and rounding."""
    for one, other in zip(packed, solo, strict=True):
        ours, theirs = record(one), record(other)
        assert list(ours) == list(theirs)
        assert flat(ours["timing"]).keys() == flat(theirs["timing"]).keys()
        assert ours["provenance"].keys() == theirs["provenance"].keys()
        leaves, expected = (
            flat({k: v for k, v in r.items() if k not in ("timing", "provenance")}) for r in (ours, theirs)
        )
        assert leaves.keys() == expected.keys()
        for name, value in expected.items():
            close = isinstance(value, float) and name.startswith(
                (".metrics", ".history_tail", ".ot_ratio_by_type")
            )
            # a score of clusters or neighbours moves by a cell's share where rounding swaps two neighbours
            assert leaves[name] == (pytest.approx(value, rel=2e-3, abs=2e-3) if close else value), name
        header = [(each.folder / HISTORY).read_text().splitlines()[0] for each in (one, other)]
        assert header[0] == header[1]


@pytest.mark.parametrize(
    "typed",
    [
        MINE,
        ("model=scvi", "seed=0,1", "save.model=true", "save.embedding=true"),
        ("seed=0", "zip(split_seed=[1,null],init_seed=[2,2],order_seed=[null,3],noise_seed=[4,null])"),
    ],
)
def test_records_of_a_pack_are_those_of_its_runs(typed: tuple[str, ...], make: Make) -> None:
    packed, solo = make("packed", *typed), make("solo", *typed)
    watch = run(packed)
    assert watch.statuses == ["done", "done"]
    assert watch.epochs == [(place, epoch) for epoch in (1, 2, 3) for place in (0, 1)]
    for place, spec in enumerate(solo):
        outcome = worker.execute_one(spec)
        assert watch.ends[place].scores.keys() == outcome.scores.keys()
    same_records(packed, solo)
    for one, other in zip(packed, solo, strict=True):
        assert {path.name for path in one.folder.iterdir()} == {path.name for path in other.folder.iterdir()}
    device = record(packed[0])["provenance"]["device"]
    assert (device["type"], device["pack"]) == ("cpu", 2)
    assert run(packed).statuses == ["before", "before"]


def test_what_is_done_or_held_is_left_out(make: Make) -> None:
    pack = make("pack", "model=scvi", "seed=range(3)")
    worker.execute_one(pack[0])
    before = (pack[0].folder / RECORD).stat()
    claim = take(pack[1].folder, Owner.here())
    assert claim is not None
    with claim:
        assert run(pack).statuses == ["before", "elsewhere", "done"]
    assert (pack[0].folder / RECORD).stat() == before
    assert not (pack[1].folder / RECORD).exists()
    assert not list(pack[0].folder.parents[1].rglob("claim.json"))


def test_a_run_that_diverges_fails_alone(make: Make) -> None:
    pack, solo = make("pack", "train.lr=1e-3,1e30"), make("solo", "train.lr=1e-3,1e30")
    watch = run(pack)
    assert watch.statuses == ["done", "failed"]
    expected = worker.execute_one(solo[1])
    assert (watch.ends[1].cause, watch.ends[1].message) == (expected.cause, expected.message)
    failure = json.loads((pack[1].folder / FAILED).read_text())
    assert failure["cause"] == "nan"
    assert ", in finite" in failure["traceback"], "where it was raised, not where it was handed on"


# Stopping


def test_an_interrupted_pack_goes_on_in_another_pack_or_alone(make: Make) -> None:
    packed, solo = make("packed"), make("solo")
    assert run(packed, stop_after=1).statuses == ["interrupted"] * 2
    assert all({path.name for path in spec.folder.iterdir()} == {CHECKPOINT} for spec in packed)
    seen: list[int] = []
    assert worker.execute_one(packed[0], seen.append).status == "done"
    assert seen == [2, 3]
    assert run(packed, packing=Packing(2)).statuses == ["before", "done"]
    for spec in solo:
        worker.execute_one(spec)
    same_records(packed, solo)
    assert [record(spec)["timing"]["interruptions"] for spec in packed] == [1, 1]


def test_a_pack_that_is_stopped_while_it_scores_keeps_what_it_has_trained(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = make()
    watch = Watch(pack)
    worker.execute(pack, watch.on_epoch, watch.on_end, lambda: bool(watch.ends))
    assert watch.statuses == ["done", "interrupted"]
    again = run(pack)
    assert again.statuses == ["before", "done"]
    assert again.epochs == []


def cut_into(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packs be cut as where a GPU has memory for so many runs."""
    monkeypatch.setattr(worker.Worker, "_size", lambda self, specs: size)


def test_a_pack_that_is_stopped_trains_no_further_cut(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make("pack", "model=scvi", "seed=range(6)")
    cut_into(2, monkeypatch)
    watch = run(pack, stop_after=1)
    assert watch.statuses == ["interrupted"] * 6
    assert watch.epochs == [(0, 1), (1, 1)]
    assert [spec.folder.exists() for spec in pack] == [True, True, False, False, False, False]


def test_a_pack_that_is_stopped_trains_no_further_half(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make("pack", "model=scvi", "seed=range(4)")
    tried = limited(2, MemoryError(), monkeypatch)
    watch = run(pack, stop_after=1)
    assert watch.statuses == ["interrupted"] * 4
    assert (tried, watch.epochs) == ([4, 2], [(0, 1), (1, 1)])
    assert not list(pack[0].folder.parents[1].rglob(CLAIM))


def test_runs_are_claimed_just_before_they_train(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make("pack", "model=scvi", "seed=range(3)")
    watch = Watch(pack)
    cut_into(1, monkeypatch)
    claimed = set[tuple[bool, ...]]()

    def on_epoch(spec: RunSpec, epoch: int) -> None:
        claimed.add(tuple((spec.folder / CLAIM).exists() for spec in pack))

    worker.execute(pack, on_epoch, watch.on_end)
    assert watch.statuses == ["done"] * 3
    assert claimed == {(True, False, False), (False, True, False), (False, False, True)}


# A full memory


def limited(most: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let packs of more than `most` runs fail; the sizes that were tried."""
    tried: list[int] = []

    def fit(runs: Sequence[Any], *rest: Any) -> Any:
        tried.append(len(runs))
        if len(runs) > most:
            raise error
        return begun(runs, *rest)

    monkeypatch.setattr(worker, "begun", fit)
    return tried


def test_a_full_memory_halves_the_pack(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make("pack", "model=scvi", "seed=range(5)")
    tried = limited(2, MemoryError(), monkeypatch)
    assert run(pack).statuses == ["done"] * 5
    assert tried == [5, 3, 2, 1, 2]
    assert record(pack[0])["provenance"]["device"]["pack"] == 2


def test_a_single_run_that_does_not_fit_has_failed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make()
    limited(0, MemoryError("no room"), monkeypatch)
    watch = run(pack)
    assert [(end.status, end.cause) for end in watch.ends.values()] == [("failed", "oom")] * 2
    assert json.loads((pack[0].folder / FAILED).read_text())["message"] == "MemoryError: no room"


def test_after_an_error_each_run_is_tried_alone_and_the_guilty_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, tried = make("pack", "model=scvi", "seed=range(4)"), list[int]()

    def fit(runs: Sequence[Experiment], *rest: Any) -> Any:
        tried.append(len(runs))
        if any(run.config.seed == 2 for run in runs):
            raise TypeError("a bug")
        return begun(runs, *rest)

    monkeypatch.setattr(worker, "begun", fit)
    watch = run(pack)
    assert watch.statuses == ["done", "done", "failed", "done"]
    assert (watch.ends[2].cause, watch.ends[2].message) == ("error", "TypeError: a bug")
    assert tried == [4, 1, 1, 1, 1]


# Devices


def test_a_gpu_that_is_not_there_fails_the_runs_of_a_node(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "torch_cuda", lambda: None)
    pack = make()
    watch = run(pack, packing=Packing(2, "cuda"))
    assert watch.statuses == ["failed", "failed"]
    assert watch.ends[0].message.startswith("BadInput: device=cuda: this torch was built without CUDA")


@pytest.mark.parametrize(
    ("cuda", "gpus", "says"), [(None, 1, "without CUDA"), ("12.8", 0, "no GPU is visible")]
)
def test_device_is_checked(cuda: str | None, gpus: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "torch_cuda", lambda: cuda)
    monkeypatch.setattr(devices, "gpus", lambda: gpus)
    assert devices.chosen("auto") == devices.chosen("cpu") == "cpu"
    with pytest.raises(BadInput, match=says):
        devices.chosen("cuda")
    monkeypatch.setattr(devices, "torch_cuda", lambda: "12.8")
    monkeypatch.setattr(devices, "gpus", lambda: 2)
    assert devices.chosen("auto") == devices.chosen("cuda") == "cuda"


def test_products_are_checked() -> None:
    for precision, device in (("float32", "cpu"), ("float32", "cuda"), ("tf32", "cuda"), ("tf32", "auto")):
        devices.check_matmul_precision(precision, device)
    with pytest.raises(
        BadInput, match=r"^matmul_precision=tf32: only a GPU multiplies so\. Use matmul_precision=float32"
    ):
        devices.check_matmul_precision("tf32", "cpu")


@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_products_are_those_that_were_asked_for(precision: str, make: Make) -> None:
    assert run(make(), packing=Packing(2, matmul_precision=precision)).statuses == ["done", "done"]
    assert torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")


def test_what_torch_was_built_for_is_read_without_loading_it() -> None:
    assert devices.torch_cuda() == torch.version.cuda


def test_room_grows_with_the_memory(make: Make) -> None:
    (spec, _) = make()
    one = Experiment(spec.config)
    cells = cells_on(spec.prepared)
    small, large, none = (max_pack_size(one, cells, free) for free in (1e8, 2e8, 0))
    assert 1 < small < large < math.ceil(2.2 * small)
    assert none == 1
    assert bytes_of_cells(cells) == 4 * cells.n_cells * cells.n_genes
    five = bytes_of_cells(cells) + 5 * bytes_of_run(one, cells)
    assert [max_pack_size(one, cells, free) for free in (five, five - 1)] == [5, 4]


def test_the_memory_of_a_gpu_says_the_size_of_packs_before_anything_is_claimed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10**9, 10**10))
    specs = make()
    watch = Watch(specs)
    with worker.Worker(watch.on_epoch, watch.on_end, watch.stop, None, Packing(None, "cuda", 2)) as one:
        one.device = "cuda"
        expected = max_pack_size(
            Experiment(specs[0].config), cells_on(specs[0].prepared), worker.USABLE * 10**9 / 2
        )
        assert one._size(specs) == expected > 1
    assert not specs[0].folder.exists()
