"""Hydra's command line, as its documentation has it."""

from pathlib import Path

import pytest
import yaml
from hydra.types import RunMode
from omegaconf import OmegaConf

from bie.errors import BadInput, guarded
from bie.planning.application import Request, main
from bie.planning.compose import Configurations
from bie.planning.expand import expand, settled
from bie.store.provenance import configuration_folder


def nothing_runs(_: object) -> int:
    raise AssertionError("this launches nothing")


@pytest.fixture
def shown(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    """What a command prints; it may write nothing."""

    def shown(*typed: str, code: int = 0) -> str:
        assert guarded(lambda: main(typed, nothing_runs)) == code
        assert [path.name for path in in_tmp.iterdir() if path.name != "own"] == []
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return shown


def test_cfg_shows_one_part_or_all(shown):
    assert yaml.safe_load(shown("-c", "job", "model=scvi_mine", "mine.scale=7"))["mine"]["scale"] == 7
    assert "hydra" not in yaml.safe_load(shown("--cfg", "job"))
    assert set(yaml.safe_load(shown("--cfg", "all"))) > {"hydra", "model"}
    assert set(yaml.safe_load(shown("--cfg", "hydra"))) == {"hydra"}
    launcher = yaml.safe_load(shown("--cfg", "hydra", "-p", "hydra.launcher", "hydra.launcher.workers=3"))
    assert launcher["workers"] == 3


def test_a_package_that_is_not_there_is_bad_input(shown):
    typed = ("-m", "--cfg", "job", "-p", "mine.scale", "model=scvi,scvi_mine")
    assert "package 'mine.scale' not found" in shown(*typed, code=2)


def test_cfg_resolves_where_it_is_asked_to(shown):
    typed = ("--cfg", "job", "--package", "train.kl", "train.kl.warmup_epochs=${train.epochs}")
    assert yaml.safe_load(shown(*typed))["warmup_epochs"] == "${train.epochs}"
    assert yaml.safe_load(shown(*typed, "--resolve"))["warmup_epochs"] == 250
    whole = yaml.safe_load(shown("--cfg", "hydra", "--resolve"))["hydra"]
    assert whole["sweep"]["dir"] == "outputs/v1/adhoc"  # of keys that are not shown


def test_cfg_of_a_sweep_is_a_document_for_each_combination(shown):
    assert "add -m" in shown("--cfg", "job", "model=scvi,pca", code=2)
    text = shown("-m", "--cfg", "job", "model=scvi,pca", "seed=3,4")
    first, second = yaml.safe_load_all(text)
    assert (first["model"]["name"], second["model"]["name"]) == ("scvi", "pca")
    assert first["seed"] == 3
    assert "1 of 2 combinations; 2 seeds, the first shown" in text


def test_info_names_files_and_folders(shown):
    assert "model/scvi_mine" in shown("--info", "defaults", "model=scvi_mine")
    assert "BieSweeper" in shown("--info", "plugins")
    assert "conf" in shown("-i", "searchpath")
    assert "n_latent" in shown("--info", "config")


def test_help_and_version_of_hydra(shown, capsys: pytest.CaptureFixture[str]):
    assert "hydra/launcher: " in shown("--hydra-help")
    with pytest.raises(SystemExit) as end:
        main(["--version"], nothing_runs)
    assert end.value.code == 0
    assert "Hydra 1." in capsys.readouterr().out


def test_bash_completes_groups_and_keys(shown, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["bie"])
    Path("own/model").mkdir(parents=True)
    Path("own/model/my_own.yaml").write_text("defaults: [scvi]\n")
    assert shown("-sc", "install=bash").rstrip().endswith("bie")
    for line, expected in {
        "bie run model=scvi_m": "model=scvi_mine model=scvi_mmd",
        "bie plan -m train.ep": "train.epochs=",
        "bie run model=scvi_mine mine.sc": "mine.scale=",
        "bie model=scvi_t": "model=scvi_tools",
        "bie run --config-dir own -m model=my": "model=my_own",
        "bie run seed=1 -cd own model=my": "model=my_own",
        "bie run -cd ow": "",  # bash completes the path
        "bie run --conf": "",
        "bie plan --power model=scvi_t": "model=scvi_tools",
    }.items():
        monkeypatch.setenv("COMP_LINE", line)
        assert shown("-sc", "query=bash").strip() == expected


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--config-path", "x"], "--config-dir"),
        (["--config-dir", "nowhere"], "nowhere: there is no such folder"),
        (["--config-name", "nowhere"], "nowhere"),
        (["--experimental-rerun", "x.pickle"], "record"),
        (["seed=1,2"], "add -m"),
        (["hydra.sweep.dir=x"], "outputs="),
        (["hydra.run.dir=x"], "study.name="),
        (["hydra.sweep.subdir=x"], "outputs="),
        (["hydra.job.chdir=true"], "outputs="),
        (["hydra.job.env_set.X=1"], "site.environment"),
        (["hydra/job_logging=disabled"], "bie logs"),
        (["hydra.sweeper.max_batch_size=3"], "array_parallelism"),
        (["hydra/sweeper=basic"], "hydra/sweeper=bie"),
        (["--shell-completion", "query=bash"], "install=bash"),
    ],
)
def test_what_has_no_meaning_names_what_has(typed: list[str], says: str, shown):
    (line,) = shown(*typed, code=2).splitlines()
    assert says in line


@pytest.mark.parametrize("typed", [["--cfg", "job", "--info"], ["--resolve"], ["--cfg", "jobs"], ["--frob"]])
def test_flags_that_do_not_go_together_are_bad_usage(typed: list[str], in_tmp: Path):
    with pytest.raises(SystemExit) as end:
        main(typed, nothing_runs)
    assert end.value.code == 2


def test_a_file_of_ones_own_to_begin_with(in_tmp: Path, shown):
    (in_tmp / "own").mkdir()
    (in_tmp / "own" / "mine.yaml").write_text(
        "defaults: [config, _self_, {override model: scvi_mine}]\n"
        "mine: {scale: 12}\nhydra: {sweeper: {params: {seed: 'range(3)', model.n_latent: '5,6'}}}\n"
    )
    typed = ("--config-dir", "own", "--config-name", "mine", "-m", "--cfg", "job")
    first, second = yaml.safe_load_all(shown(*typed))
    assert (first["model"]["name"], first["mine"]["scale"]) == ("scvi_mine", 12)
    assert (first["model"]["n_latent"], second["model"]["n_latent"]) == (5, 6)
    assert yaml.safe_load(shown(*typed, "model.n_latent=7", "seed=1"))["model"]["n_latent"] == 7


def test_parameters_of_the_sweeper_are_sweeps_that_may_be_typed(configurations: Configurations):
    found = expand(["hydra.sweeper.params.seed=1,2", "+hydra.sweeper.params.train.epochs=3"], configurations)
    assert [(c.seeds, c.config.train.epochs) for c in found.combinations] == [((1, 2), 3)]
    assert expand(["hydra.sweeper.params.seed=1", "seed=7"], configurations).combinations[0].seeds == (7,)


def test_a_callback_of_ones_own_is_made_as_hydra_makes_it(
    in_tmp: Path, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    (in_tmp / "own/hydra/callbacks").mkdir(parents=True)
    section = "mine: {_target_: hydra.experimental.callback.Callback}\n"
    (in_tmp / "own/hydra/callbacks/mine.yaml").write_text(section)
    monkeypatch.setattr("bie.launching.launch.launch", lambda *of: 7)
    typed = ("--config-dir", "own", "hydra/callbacks=mine", "hydra.launcher.workers=0", *tiny)
    assert main(typed, nothing_runs) == 7  # Hydra 1.4 would warn of one that is not allowed


def test_the_mode_may_be_a_key(shown):
    assert "2 combinations" in shown("hydra.mode=MULTIRUN", "-c", "job", "model=scvi,pca")


def test_a_folder_may_be_searched_for_groups(in_tmp: Path, shown):
    (in_tmp / "own" / "train").mkdir(parents=True)
    (in_tmp / "own" / "train" / "long.yaml").write_text("epochs: 1234\n")
    found = shown(f"hydra.searchpath=[file://{in_tmp / 'own'}]", "train=long", "-c", "job", "-p", "train")
    assert yaml.safe_load(found)["epochs"] == 1234


def test_hydra_alone_comes_to_the_same_from_the_overrides_of_a_run(configurations: Configurations):
    typed = [
        "model=scvi,scvi_mine",
        "mine.scale=2",
        "train.kl.warmup_epochs=${train.epochs}",
        "train.epochs=3",
    ]
    expansion = expand([*typed, "outputs='my data'", "dataset.size=smoke"], configurations)
    for combination in expansion.combinations:
        overrides = Request([], expansion, nothing_runs).overrides_of(combination, 0)
        whole = configurations.loader.load_configuration("config", overrides, RunMode.RUN)
        OmegaConf.set_struct(whole, False)
        del whole["hydra"]
        assert settled(whole).combinations[0].config == combination.config


BROKEN = (
    "epochs: [1\n",
    "- 1\n- 2\n",
    "defaults: [nowhere]\n",
    "defaults: 3\n",
    "a: 1\na: 2\n",
    "epochs: ${oc.env:NO_SUCH}\n",
)


def test_a_broken_file_of_ones_own_is_bad_input_in_one_line(in_tmp: Path, shown):
    (in_tmp / "own" / "train").mkdir(parents=True)
    for place, text in enumerate(BROKEN):
        (in_tmp / "own" / "train" / f"broken{place}.yaml").write_text(text)
    own = Configurations(configuration_folder(), in_tmp / "own")
    for place in range(len(BROKEN)):
        with pytest.raises(BadInput, match=rf"^train(=broken{place}|\.)[^\n]*$"):
            expand([f"train=broken{place}"], own)
    (line,) = shown("--config-dir", "own", "tran.epochs=3", code=2).splitlines()
    assert "Did you mean train.epochs?" in line
