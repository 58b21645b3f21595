"""What a task asks for: the launcher's keys over the site's, as submitit's parameters."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from bie.config import Local, SubmititLocal, SubmititSlurm
from bie.errors import BadInput
from bie.launching.resources import check_gpus, parameters
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder


@pytest.fixture
def asked(configurations: Configurations):
    def read(*typed: str) -> dict[str, Any]:
        chosen = expand(["hydra/launcher=submitit_slurm", *typed], configurations).settings
        assert isinstance(chosen.hydra.launcher, SubmititSlurm)
        return parameters(chosen.hydra.launcher, chosen.site)

    return read


def test_what_nobody_asked_for_is_left_to_the_cluster(asked):
    assert asked() == {
        "job_name": "bie",
        "nodes": 1,
        "ntasks_per_node": 1,
        "time": 60,
        "cpus_per_task": 1,
        "signal_delay_s": 120,
        "stderr_to_stdout": True,
        "wckey": None,
        "use_srun": False,
        "srun_args": None,
        "additional_parameters": {"requeue": True, "signal": "B:USR2@120"},
    }


def test_the_launcher_has_the_last_word_over_the_site(asked):
    found = asked(
        "site=spartan", "site.account=punim1", "hydra.launcher.partition=debug", "hydra.launcher.mem_gb=0.5"
    )
    assert (found["partition"], found["account"], found["mem"]) == ("debug", "punim1", "512M")
    assert found["gres"] == "gpu:1"


def test_another_word_for_the_same_resource_silences_the_sites(asked):
    found = asked("site=spartan", "hydra.launcher.gpus_per_node=a100:2", "hydra.launcher.mem_per_cpu=4G")
    assert "gres" not in found
    assert "mem" not in found
    assert (found["gpus_per_node"], found["mem_per_cpu"]) == ("a100:2", "4G")


def test_no_memory_is_all_that_a_node_has(asked):
    assert asked("site=spartan", "hydra.launcher.mem_gb=0")["mem"] == "0"


def test_any_other_option_of_sbatch(asked):
    found = asked(
        "hydra.launcher.additional_parameters={reservation: teach, hold: true, test-only: false}",
        "+hydra.launcher.additional_parameters.nice=100",
        "hydra.launcher.exclusive=true",
    )
    extra = found["additional_parameters"]
    assert (extra["reservation"], extra["hold"], extra["nice"]) == ("teach", True, "100")
    assert "test-only" not in extra
    assert found["exclusive"] is True
    assert "exclusive" not in asked("hydra.launcher.exclusive=false")


def test_arguments_of_srun_turn_it_on(asked):
    found = asked("hydra.launcher.srun_args=['--cpu-bind=none']")
    assert (found["use_srun"], found["srun_args"]) == (True, ["--cpu-bind=none"])
    assert found["additional_parameters"]["signal"] == "USR2@120"


@pytest.mark.parametrize(
    ("typed", "minutes"), [("1-00:00:00", 1440), ("24:00:00", 1440), ("90", 90), ("0:30", 1)]
)
def test_times_may_be_slurms(asked, typed: str, minutes: int):
    assert asked(f"hydra.launcher.timeout_min={typed}")["time"] == minutes
    assert asked(f"site.timeout_min={typed}")["time"] == minutes


@pytest.mark.parametrize(
    "bad",
    [
        "hydra.launcher.comment='a\nb'",
        "site.environment={'A B': c}",
        "hydra.launcher.nodes=2",
        "hydra.launcher.timeout_min=1:2:3:4",
        "hydra.launcher.mem_gb=-1",
    ],
)
def test_what_cannot_be_asked_for_is_bad_input(asked, bad: str):
    with pytest.raises(BadInput):
        asked(bad)


def test_an_option_that_has_a_key_is_refused_with_the_key(asked):
    for option, key in {
        "time": "timeout_min",
        "cpus-per-task": "cpus_per_task",
        "mem_per_cpu": "mem_per_cpu",
        "array": "array_parallelism",
        "output": "submitit_folder",
    }.items():
        with pytest.raises(BadInput, match=rf"--{option} has a key of its own, hydra\.launcher\.{key}$"):
            asked(f"+hydra.launcher.additional_parameters.{option}=1")
    with pytest.raises(BadInput, match="bie sets --requeue itself"):
        asked("+hydra.launcher.additional_parameters.requeue=true")


def test_what_the_other_launcher_leaves_to_additional_parameters_is_taken(asked):
    typed = "hydra.launcher.additional_parameters={mail-type: BEGIN}"
    assert asked(typed)["additional_parameters"]["mail-type"] == "BEGIN"


# ---- a GPU asked for is a GPU used


@pytest.fixture
def device(configurations: Configurations):
    def read(*typed: str) -> str:
        settings = expand(["hydra/launcher=submitit_slurm", *typed], configurations).settings
        check_gpus(settings)
        return settings.device

    return read


def test_where_nobody_says_the_device_the_resources_do(device):
    assert device() == "cpu"
    assert device("site.gres=gpu:1") == "cuda"
    assert device("hydra.launcher.gpus_per_node=a100:2") == "cuda"
    assert device("hydra.launcher.gpus_per_node=0") == "cpu"
    assert device("hydra.launcher.additional_parameters={gpus: 1}") == "cuda"
    assert device("hydra.launcher.additional_parameters={tres-per-task: 'gres/gpu:1'}") == "cuda"
    assert device("hydra.launcher.additional_parameters={reservation: gpu_course}") == "cpu"
    assert device("site=spartan") == "cuda"
    assert device("site.gres=gpu:1", "hydra/launcher=local") == "cpu"


def test_what_was_typed_is_meant(device):
    assert device("site=spartan", "device=cpu") == "cpu"
    assert device("device=cuda") == "cuda"


def test_a_site_that_contradicts_itself_is_refused(tmp_path):
    for text, said in {
        "gres: gpu:1\ndevice: cpu": "each task reserves a GPU, which would stay idle",
        "device: cuda": "no task asks for a GPU",
    }.items():
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / "odd.yaml").write_text(f"defaults: [none, _self_]\nname: odd\n{text}\n")
        own = Configurations(configuration_folder(), tmp_path)
        settings = expand(["hydra/launcher=submitit_slurm", "site=odd"], own).settings
        with pytest.raises(BadInput, match=said):
            check_gpus(settings)


# ---- a file of hydra-submitit-launcher's


STOCK = """\
_target_: hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher
submitit_folder: ${hydra.sweep.dir}/.submitit/%j
timeout_min: 90
cpus_per_task: 2
gpus_per_node: null
tasks_per_node: 1
mem_gb: 16
nodes: 1
name: mine
stderr_to_stdout: false
partition: long
qos: null
comment: null
constraint: null
exclude: null
gres: null
cpus_per_gpu: null
gpus_per_task: null
mem_per_gpu: null
mem_per_cpu: null
account: null
signal_delay_s: 60
max_num_timeout: 0
additional_parameters: {mail-type: BEGIN}
array_parallelism: 7
setup: [echo hello]
"""


def test_a_file_for_the_other_launcher_works_unchanged(tmp_path):
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "mine.yaml").write_text(STOCK)
    own = Configurations(configuration_folder(), tmp_path)
    settings = expand(["hydra/launcher=mine"], own).settings
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititSlurm)
    found = parameters(launcher, settings.site)
    assert (found["job_name"], found["time"], found["mem"]) == ("mine", 90, "16384M")
    assert (found["partition"], found["cpus_per_task"], found["stderr_to_stdout"]) == ("long", 2, False)
    assert found["additional_parameters"]["mail-type"] == "BEGIN"
    assert (launcher.array_parallelism, launcher.max_num_timeout, launcher.setup) == (7, 0, ["echo hello"])
    assert launcher.submitit_folder == "outputs/v1/adhoc/.submitit/%j"
    typed = expand(["hydra/launcher=mine", "hydra.launcher.runs_per_job=2"], own).settings.hydra.launcher
    assert isinstance(typed, SubmititSlurm)
    assert (typed.runs_per_job, typed.partition) == (2, "long")


@pytest.mark.parametrize("node", [SubmititSlurm, SubmititLocal, Local])
def test_the_files_of_conf_have_the_keys_and_the_defaults_of_their_classes(node):
    path = configuration_folder() / "hydra" / "launcher" / f"{node.kind}.yaml"
    assert OmegaConf.load(path) == OmegaConf.structured(node)
