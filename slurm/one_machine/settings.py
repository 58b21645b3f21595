"""What can be chosen, and the files that tell the daemons."""

import getpass
import json
import os
import secrets
import socket
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template

SETTINGS = "settings.json"
SLURM_CONF = "etc/slurm.conf"


@dataclass(frozen=True)
class Settings:
    """What can be chosen at the first start; kept until ``stop --wipe``."""

    nodes: int = field(default=3, metadata={"help": "number of nodes, n1 n2 ..."})
    cpus: int = field(default=8, metadata={"help": "CPUs that each node claims to have"})
    gpus: int = field(default=4, metadata={"help": "GPUs that each node claims to have"})
    accounting: str = field(default="dbd", metadata={"help": "dbd: sacct works | none: it is disabled"})
    max_array: int = field(default=1001, metadata={"help": "MaxArraySize: an array's highest index plus one"})
    min_job_age: int = field(default=300, metadata={"help": "seconds for which Slurm remembers an ended job"})
    memory: str = field(
        default="scheduled",
        metadata={"help": "scheduled: only reckoned with | enforced: a job that takes more is killed"},
    )
    port: int = field(
        default=0, metadata={"help": "first of 3 + nodes TCP ports; 0: free ones are looked for"}
    )

    @property
    def n_ports(self) -> int:
        """slurmctld, slurmdbd, mariadb, then the nodes."""
        return 3 + self.nodes

    @property
    def dbd_port(self) -> int:
        """Where slurmdbd listens."""
        return self.port + 1

    @property
    def db_port(self) -> int:
        """Where mariadb listens."""
        return self.port + 2


def configure(folder: Path, settings: Settings) -> None:
    """Write all that the daemons read."""
    for name in ("etc", "run", "log", "spool", "controller", "munge", "gpu"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "db").mkdir(mode=0o700, exist_ok=True)
    for name, n_bytes in (("munge/key", 512), ("db/password", 16)):
        if not (folder / name).exists():
            _write_private(folder / name, secrets.token_hex(n_bytes))
    gpus = [_gpu(folder / f"gpu/nvidia{i}") for i in range(settings.gpus)]
    (folder / SLURM_CONF).write_text(_slurm_conf(folder, settings))
    lines = ["AutoDetect=off", *(f"Name=gpu File={path}" for path in gpus), ""]
    (folder / "etc/gres.conf").write_text("\n".join(lines))
    _write_private(folder / "etc/slurmdbd.conf", _slurmdbd_conf(folder, settings))
    (folder / SETTINGS).write_text(json.dumps(asdict(settings)))


def _gpu(path: Path) -> Path:
    """A device file, without which Slurm would not set CUDA_VISIBLE_DEVICES; only root can make one."""
    if not path.exists():
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # another /dev/null
        except PermissionError:
            path.touch()
    return path


def _slurm_conf(folder: Path, settings: Settings) -> str:
    first = settings.port + settings.n_ports - settings.nodes
    return Template(Path(__file__).with_name("slurm.conf").read_text()).substitute(
        asdict(settings),
        dir=folder,
        user=getpass.getuser(),
        host=socket.gethostname().split(".")[0],
        gres=f"Gres=gpu:{settings.gpus}" if settings.gpus else "",
        storage=_storage(folder, settings),
        memory=_memory(settings),
        node_ports=f"[{first}-{first + settings.nodes - 1}]",
    )


def _storage(folder: Path, settings: Settings) -> str:
    if settings.accounting == "none":
        return "AccountingStorageType=accounting_storage/none"
    return "\n".join(
        (
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={settings.dbd_port}",
            f"AccountingStoragePass={folder}/munge/socket",  # no password: this link does not read AuthInfo
            "AccountingStorageTRES=gres/gpu",
        )
    )


def _memory(settings: Settings) -> str:
    """Without cgroups memory is enforced by looking at it, here every second."""
    if settings.memory == "scheduled":
        return "JobAcctGatherType=jobacct_gather/none"
    gather = ("JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=task=1")
    return "\n".join((*gather, "JobAcctGatherParams=OverMemoryKill"))


def _slurmdbd_conf(folder: Path, settings: Settings) -> str:
    return "\n".join(
        (
            f"SlurmUser={getpass.getuser()}",
            f"AuthType=auth/munge\nAuthInfo=socket={folder}/munge/socket",
            f"DbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={settings.dbd_port}",
            f"LogFile={folder}/log/slurmdbd.log\nPidFile={folder}/run/slurmdbd.own",
            f"StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={settings.db_port}",
            f"StorageUser=slurm\nStoragePass={(folder / 'db/password').read_text()}\nStorageLoc=slurm\n",
        )
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
