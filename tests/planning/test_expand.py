from pathlib import Path
from typing import Any

import pytest

from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("mine.scal=1000", r"mine\.scal is not a setting\. Did you mean mine\.scale\?"),
        ("+sede=1,2", "Did you mean seed?"),
        ("+foo.bar=1", r"^foo\.bar is not a setting\. There are: adversarial, .*model, .*seed, .*version$"),
        ("xyz=x", "^xyz is not a setting. There are: adversarial, "),
        ("train.foo=1", "^train.foo is not a setting. .*Settings of train: adam_eps, "),
        ("modle=scvi", "Did you mean model?"),
        ("model=scvi_mnie", "Did you mean scvi_mine.*Choices: .*scvi_mine"),
        ("dataset=atlas", "Choices: .*zinb"),
        ("train.lr=-1", r"train\.lr=-1: .*> 0"),
        ("train.epochs=ten", r"train\.epochs=ten: .*>= 1"),
        ("train.epochs=2.5", r"train\.epochs=2\.5"),
        ("split.train_fraction=1", r"split\.train_fraction=1: .*> 0, < 1"),
        ("mine.preference=1", r"^mine\.preference=1: .*> 0, < 1"),
        ("model.dropout=true", r"model\.dropout=true: must be a number"),
        ("model.likelihood=zip", "'zinb', 'nb', 'poisson' or 'gaussian'"),
        ("model.dispersion=cell", "'gene', 'gene-batch', 'gene-label' or 'gene-cell'"),
        ("model.deep_covariates=true", "Did you mean"),
        ("preset=scvi_2017", "Did you mean scvi_201.*Choices: none, scvi_2018, "),
        ("seed=-1", r"seed=-1: .*>= 0"),
        ("seed=0,abc", "seed=abc"),
        ("model=3", "there is no such model"),
        ("train.kl=warmup", "is a section"),
        (
            "model.name=x",
            r"^model\.name=x cannot be typed, .*: model=CHOICE\. A name of your own .*--config-dir",
        ),
        ("zip(model.name=[a,b],model.n_latent=[5,6])", "^model.name=a cannot be typed"),
        ("hydra.sweeper.params.model.name=a", "^model.name=a cannot be typed"),
        (
            "model.method=noise",
            "^model.method=noise cannot be typed, as the choice of a model brings it: model=noise$",
        ),
        ("dataset.source=tenx", "cannot be typed, as the choice of a dataset brings it: dataset=tenx$"),
        ("perturb.kind=none", "perturb=none$"),
        ("dataset.n_cells=5", r"dataset\.n_cells=5: .*>= 20"),
        ("outputs=a,b", "cannot be swept"),
        ("study=quickstart,adhoc", "one study per command"),
        ("hydra.launcher.workers=-1", r"hydra\.launcher\.workers=-1"),
        ("hydra.run.dir=x", r"hydra\.run\.dir is not a setting"),
        ("study.name=a/b", r"^study\.name=a/b: must be letters, digits and \. _ \+ - alone, with a letter"),
        ("version=.x", r"^version=\.x: must be letters, digits"),
        ("pack=0", r"^pack=0: must be auto or a number of runs >= 1$"),
        ("pack=all", r"^pack=all: must be auto or a number of runs >= 1$"),
        ("pack=1,2", "cannot be swept"),
        ("device=gpu", r"^device=gpu: must be 'auto', 'cpu' or 'cuda'$"),
        ("matmul_precision=bf16", r"^matmul_precision=bf16: must be 'float32' or 'tf32'$"),
        ("dataset=h5ad", r"dataset\.path is not set"),
    ],
)
def test_bad_input_is_named_with_its_remedy(typed: str, says: str, configurations: Configurations):
    with pytest.raises(BadInput, match=says):
        expand([typed], configurations)


def test_every_bad_key_is_reported_at_once(configurations: Configurations):
    with pytest.raises(BadInput) as error:
        expand(["train.lr=0", "model.n_latent=0"], configurations)
    assert len(str(error.value).splitlines()) == 2


def test_keys_that_do_not_act_are_noted_not_refused(configurations: Configurations):
    found = expand(["model=scvi,scvi_mine", "mine.scale=1000,5000"], configurations)
    assert [c.inactive for c in found.combinations] == [{"mine.scale": "model=scvi"}] * 2 + [{}] * 2
    assert found.combinations[0].reasons == ["mine.scale does not act on model=scvi"]
    assert [c.grid for c in found.combinations] == [{}, {}, {"mine.scale": 1000.0}, {"mine.scale": 5000.0}]


def test_keys_of_one_dataset_do_not_act_on_another(configurations: Configurations):
    found = expand(["dataset=zinb,h5ad", "dataset.path=x.h5ad", "dataset.batch_key=b"], configurations)
    assert found.combinations[0].inactive["dataset.path"] == "dataset=zinb"
    assert found.combinations[1].inactive == {}


def test_a_study_is_overridden_by_what_was_typed(configurations: Configurations):
    found = expand(["study=quickstart", "seed=7", "study.name=mine"], configurations)
    assert found.settings.study.name == "mine"
    assert [(c.config.model.name, c.seeds) for c in found.combinations] == [
        ("scvi", (7,)),
        ("scvi_mine", (7,)),
    ]


def test_zip_of_seeds(configurations: Configurations):
    found = expand(["model=scvi_mine", "zip(seed=[1,2],mine.scale=[10,20])"], configurations)
    assert [(c.seeds, c.config.penalty[1].scale) for c in found.combinations if c.config.penalty] == [
        ((1,), 10.0),
        ((2,), 20.0),
    ]


def test_environment_can_be_interpolated(configurations: Configurations, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BIE_TEST_SCRATCH", "scratch")
    assert (
        str(expand(["outputs=${oc.env:BIE_TEST_SCRATCH}/x"], configurations).settings.outputs) == "scratch/x"
    )


def test_groups_of_the_users_own(tmp_path, configurations: Configurations):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "long.yaml").write_text("defaults: [full, _self_]\nepochs: 1234\n")
    own = Configurations(configurations.folder, tmp_path)
    assert expand(["train=long"], own).combinations[0].config.train.epochs == 1234


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: own\n", "sweep is missing .* has: name. Write it so"),
        ("name: own\nsweeps: [seed=1]\n", "sweep is missing .* has: name, sweeps"),
        ("name: own\nsweep: seed=1\n", "sweep=seed=1 is no list of overrides"),
        ("name: own\nsweep:\n  - seed: 1\n", ".* is no list of overrides"),
        ("name: own\nsweep:\n", "sweep=None is no list"),
        ("", "sweep is missing .* has: nothing"),
    ],
)
def test_a_study_file_without_a_sweep_is_bad_input(
    text: str, says: str, tmp_path, configurations: Configurations
):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "own.yaml").write_text(text)
    with pytest.raises(BadInput, match=f"^study=own: {says}"):
        expand(["study=own"], Configurations(configurations.folder, tmp_path))


@pytest.mark.parametrize("group", ["dataset", "perturb", "model", "metrics", "preset", "train", "study"])
def test_every_shipped_choice_composes(group: str, configurations: Configurations):
    needed = {"h5ad": ["dataset.path=x", "dataset.batch_key=b"], "tenx": ["dataset.samples=x"]}
    needed |= {"pairs": ["model=critic"], "sets": ["model=deep_sets"]}
    needed |= {model: ["dataset=pairs"] for model in ("critic", "neighbours", "sklearn")}
    needed |= {model: ["dataset=sets"] for model in ("deep_sets", "set_mean")}
    for choice in configurations.groups[group]:
        if group != "study":
            assert expand([f"{group}={choice}", *needed.get(choice, [])], configurations).combinations
        # what can be typed with it is known without composing it, so that a typo is answered at once
        assert leaves(configurations.composed({group: choice}).plain) <= configurations.keys.keys()


def test_every_study_expands(configurations: Configurations):
    for study in configurations.groups["study"]:
        assert expand([f"study={study}"], configurations).combinations


def leaves(plain: dict[str, Any], prefix: str = "") -> set[str]:
    within = (leaves(each, f"{prefix}{key}.") for key, each in plain.items() if isinstance(each, dict))
    return {prefix + key for key in plain}.union(*within)


def test_keys_of_files_of_ones_own_are_known_whatever_their_files_are(tmp_path: Path, configurations):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - full\n  - _self_\na:\n  b: 1\n"
    )
    (tmp_path / "train" / "moved.yaml").write_text("defaults:\n  - /model@c: pca\n  - _self_\nd: 1\n")
    found = Configurations(configurations.folder, tmp_path).keys
    assert found["a.b"] == {"train": "mine"}
    assert found["train.d"] == {"train": "moved"}
    assert any(found[key] == {"train": "moved"} for key in found if key.startswith(("c.", "train.c.")))


@pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson"])
def test_fractions_are_kept_only_where_they_have_a_density(likelihood: str, configurations: Configurations):
    given = ["dataset=tenx", "dataset.samples=x", "dataset.fractional=keep"]
    said = rf"dataset\.fractional=keep: model\.likelihood={likelihood} .*gaussian, or .*=round"
    with pytest.raises(BadInput, match=said):
        expand([*given, f"model.likelihood={likelihood}"], configurations)
    kept = expand([*given, "model.likelihood=gaussian"], configurations).combinations[0].config
    assert kept.scientific()["dataset"]["fractional"] == "keep"
    refused = expand(["dataset=tenx", "dataset.samples=x"], configurations).combinations[0].config
    assert "fractional" not in refused.scientific()["dataset"]


def test_references_have_the_values_of_each_combination(configurations: Configurations):
    follows = "train.kl.warmup_epochs=${train.epochs}"
    for typed in ([follows, "train.epochs=1,2"], ["train.epochs=1,2", follows]):
        found = expand(typed, configurations).combinations
        assert [c.config.train.kl.warmup_epochs for c in found] == [1, 2]
        assert [c.grid["train.epochs"] for c in found] == [1, 2]


def test_references_to_the_seed_are_those_of_each_run(configurations: Configurations):
    found = expand(["dataset.seed=${seed}", "seed=range(3)"], configurations).combinations
    assert [(c.seeds, c.config.dataset.model_dump()["seed"], c.grid) for c in found] == [
        ((seed,), seed, {"dataset.seed": seed}) for seed in range(3)
    ]
    found = expand(["seed=${dataset.seed}", "dataset.seed=7,8"], configurations).combinations
    assert [c.seeds for c in found] == [(7,), (8,)]


def test_references_of_a_study_are_resolved_where_they_are_applied(
    tmp_path: Path, configurations: Configurations
):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "follow.yaml").write_text(
        "name: follow\nsweep:\n  - train.epochs=1,2\n  - train.kl.warmup_epochs=${train.epochs}\n"
    )
    found = expand(["study=follow"], Configurations(configurations.folder, tmp_path)).combinations
    assert [c.config.train.kl.warmup_epochs for c in found] == [1, 2]


def test_references_to_what_hydra_knows(tmp_path: Path):
    configurations = Configurations(configuration_folder(), tmp_path)  # one's own: no other test's folder
    typed = ["outputs=${hydra:runtime.cwd}/x", "study.name=${model.name}_${hydra:runtime.choices.dataset}"]
    settings = expand(typed, configurations).settings
    assert settings.outputs == Path.cwd() / "x"
    assert settings.study.name == "scvi_zinb"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["train.kl.warmup_epochs=${train.epoch}"], "'train.epoch' not found. Did you mean train.epochs"),
        (["outputs=${oc.env:NO_SUCH_VARIABLE}/x"], r"^outputs=\$\{.*'NO_SUCH_VARIABLE' not found"),
        (["train.lr=${nowhere:1}"], "nowhere"),
        (["model=scvi", "mine.scale=abc"], "^mine.scale=abc: must be a valid number"),
        (["model=scvi", "mine.scale=1,-2"], "^mine.scale=-2: .*>= 0"),
        (["dataset.path=[1,2]"], r"^dataset.path=\[1, 2\]"),
        (["model=scVI"], "Did you mean scvi?"),
        (["Model=scvi"], "Did you mean model?"),
        (["n_latent_z=10"], "Did you mean mine.n_hidden?"),
        (["model.n_hidden_z=10"], "Did you mean mine.n_hidden?"),
        (["n_layers_z=3"], "Did you mean mine.n_layers?"),
        (["MineLoss_Scale=1000"], "Did you mean mine.scale?"),
        (["site.partition=gpu,cpu"], """As one text: 'site.partition="gpu,cpu"'$"""),
    ],
)
def test_what_cannot_be_is_said_in_one_line(typed: list[str], says: str, configurations: Configurations):
    with pytest.raises(BadInput, match=says) as error:
        expand(typed, configurations)
    assert len(str(error.value).splitlines()) == 1


def test_sections_open_to_any_key_are_merged_as_dictionaries_are(configurations: Configurations):
    typed = ["site.environment={A: x, B: y}", "site.environment.B=z", "hydra/launcher=submitit_slurm"]
    assert expand(typed, configurations).settings.site.environment == {"A": "x", "B": "z"}


def test_a_launcher_from_elsewhere_is_left_to_hydra(configurations: Configurations):
    launcher = expand(["hydra/launcher=basic"], configurations).settings.hydra.launcher
    assert (launcher.kind, launcher.workers) == ("local", 0)


def test_what_makes_a_key_inactive_is_named(configurations: Configurations):
    (point,) = expand(["model=pca"], configurations).combinations
    found = point.config.inactive_keys(["train.epochs", "split.train_fraction"])
    assert found == {"train.epochs": "model=pca"}
    (point,) = expand([], configurations).combinations
    assert point.config.inactive_keys(["train.kl.gamma"]) == {"train.kl.gamma": "train.kl.mode=warmup"}


def test_a_key_that_is_not_there_belongs_to_its_group_or_the_model(configurations: Configurations):
    typed = ["model=pca", "train=smoke", "dataset.path=x.h5ad", "mine.scale=2"]
    (point,) = expand(typed, configurations).combinations
    assert point.inactive == {"dataset.path": "dataset=zinb", "mine.scale": "model=pca"}


def test_what_combinations_share_is_as_if_each_were_alone(configurations: Configurations):
    typed = ["model=scvi,scvi_mine", "train.epochs=3,5", "mine.scale=1,${train.epochs}", "dataset.n_cells=80"]
    alone = [
        expand([f"model={m}", f"train.epochs={e}", f"mine.scale={s}", typed[-1]], configurations)
        for m in ("scvi", "scvi_mine")
        for e in (3, 5)
        for s in (1, e)
    ]
    together = expand(typed, configurations).combinations
    assert [each.config for each in together] == [one.combinations[0].config for one in alone]


def test_combinations_that_differ_in_inactive_keys_alone_are_made_once(configurations: Configurations):
    scales = [f"{name}.scale=1,2" for name in ("mine", "mmd", "adversarial")]
    found = expand(["model=scvi,scvi_mine", *scales, "seed=0..4"], configurations).combinations
    assert len(found) == 2 * 2**3
    assert sorted({id(each): each.grid.get("mine.scale", 0) for each in found}.values()) == [0, 1, 2]
    assert [len(each.reasons) for each in found] == [3] * 8 + [2] * 8


def test_grid_points_share_the_sections_in_which_they_are_equal(configurations: Configurations):
    typed = ["model=scvi_mine", "mine.scale=1,2", "train.lr=1e-3,1e-2"]
    points = expand(typed, configurations).combinations
    for name, n in {"model": 1, "mine": 2, "train": 2}.items():
        assert len({id(getattr(point.config, name)) for point in points}) == n
    scales_and_rates = [tuple(point.grid.values()) for point in points]
    assert scales_and_rates == [(1, 1e-3), (1, 1e-2), (2, 1e-3), (2, 1e-2)]


def test_files_may_name_what_is_not_to_be_typed(tmp_path: Path):
    """A model of one's own has a name of its own, and so has a row of a study's file."""
    wide = "# @package _global_\ndefaults: [scvi, _self_]\nmodel: {name: wide, n_hidden: 256}"
    sweep = "sweep: ['model=wide,scvi', 'zip(model.name=[a,b],model.n_latent=[5,6])']"
    for name, content in {"model/wide.yaml": wide, "study/own.yaml": f"name: own\n{sweep}"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    own = Configurations(configuration_folder(), tmp_path)
    assert [point.config.model.name for point in expand(["model=wide"], own).combinations] == ["wide"]
    named = {point.config.model.name for point in expand(["study=own"], own).combinations}
    assert named == {"a", "b"}
