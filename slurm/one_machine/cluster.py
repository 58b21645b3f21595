"""The cluster: which daemons there are, and in which order they come and go."""

import contextlib
import getpass
import itertools
import os
import shutil
import signal
import socket
import subprocess
import zlib
from pathlib import Path

from one_machine.daemon import ClusterError, Daemon, kill_steps, until
from one_machine.settings import SLURM_CONF, Settings, configure

PORTS = range(16800, 32000, 50)  # below those that the kernel hands out
PATIENCE = 300  # seconds; on a busy machine the first start of the database takes minutes
TAKES_JOBS = {"idle", "mix", "alloc", "comp"}


class Cluster:
    """All daemons and files of one state folder."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.dir, self.settings, self.conf = folder, settings, folder / SLURM_CONF
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        munge, db, me = folder / "munge", folder / "db", f"--user={getpass.getuser()}"
        self._admin = ("--no-defaults", me, f"--socket={db}/socket")
        self.munged = self._daemon(
            *("munged", "munged", "--foreground", "--force", f"--socket={munge}/socket"),
            *(f"--key-file={munge}/key", f"--pid-file={munge}/pid", f"--seed-file={munge}/seed"),
            f"--log-file={folder}/log/munged.log",
        )
        self.mariadb = self._daemon(
            *(
                "mariadb",
                "mariadbd",
                *self._admin,
                f"--datadir={db}/data",
                f"--pid-file={db}/pid",
                f"--tmpdir={db}",
            ),
            *("--bind-address=127.0.0.1", f"--port={settings.db_port}", "--skip-name-resolve"),
            *("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--performance-schema=OFF"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900", "--skip-log-bin"),
        )
        self.slurmdbd = self._daemon("slurmdbd", "slurmdbd", "-D")
        self.slurmctld = self._daemon("slurmctld", "slurmctld", "-D", "-i", "-f", str(self.conf))
        names = [f"n{i + 1}" for i in range(settings.nodes)]
        self.nodes = {
            name: self._daemon(name, "slurmd", "-D", "-N", name, "-f", str(self.conf)) for name in names
        }

    def _daemon(self, name: str, *command: str) -> Daemon:
        return Daemon(self.dir, name, command, self.environment)

    @property
    def daemons(self) -> list[Daemon]:
        """All that should run, in the order in which they are started."""
        accounting = [self.mariadb, self.slurmdbd] if self.settings.accounting == "dbd" else []
        return [self.munged, *accounting, self.slurmctld, *self.nodes.values()]

    def start(self) -> None:
        """Start what does not run and wait until every node takes jobs."""
        configure(self.dir, self.settings)
        self.munged.start()
        self.munged.wait((self.dir / "munge/socket").exists, 10)
        if self.settings.accounting == "dbd":
            self._start_accounting()
        self.slurmctld.start()
        for node in self.nodes.values():
            node.start()
        self.slurmctld.wait(lambda: self.succeeds("scontrol", "ping"), PATIENCE)
        self.wait_for_nodes(set(self.nodes))

    def _start_accounting(self) -> None:
        if not (self.dir / "db/data/mysql").is_dir():
            self._create_database()
        self.mariadb.start()
        self.mariadb.wait(lambda: self.succeeds("mariadb-admin", *self._admin, "ping"), PATIENCE)
        if self.slurmdbd.pid() is None:
            self.output("mariadb", *self._admin, typed=self._grants())
        self.slurmdbd.start()
        self.slurmdbd.wait(lambda: self.succeeds("sacctmgr", "-n", "show", "cluster"), PATIENCE)
        # slurmctld gives up where the database does not know its cluster yet
        if "local" not in self.output("sacctmgr", "-n", "show", "cluster", "format=cluster").split():
            self.output("sacctmgr", "-i", "add", "cluster", "local")

    def _create_database(self) -> None:
        data = self.dir / "db/data"
        shutil.rmtree(data, ignore_errors=True)
        self.output(
            *("mariadb-install-db", "--no-defaults", self._admin[1], f"--datadir={data}", "--skip-test-db"),
            *("--auth-root-authentication-method=socket", f"--auth-root-socket-user={getpass.getuser()}"),
            *("--skip-name-resolve", "--innodb-log-file-size=16M", f"--tmpdir={self.dir / 'db'}"),
        )

    def _grants(self) -> str:
        account = f"slurm@127.0.0.1 IDENTIFIED BY '{(self.dir / 'db/password').read_text()}'"
        create = f"CREATE DATABASE IF NOT EXISTS slurm; CREATE USER IF NOT EXISTS {account};"
        return f"{create} GRANT ALL ON slurm.* TO {account};"

    def wait_for_nodes(self, names: set[str]) -> None:
        """Until they take jobs; one that Slurm had given up is asked to resume."""
        if not until(lambda: all(self._takes_jobs(name) for name in names), 60, every_s=0.1):
            raise ClusterError("not all nodes came up:\n" + self.output("sinfo", "-N", "-l"))

    def _takes_jobs(self, name: str) -> bool:
        state = self.output("sinfo", "-h", "-n", name, "-p", "cpu", "-N", "-o", "%t").strip()
        if state.startswith(("down", "drain")):
            self.succeeds("scontrol", "update", f"nodename={name}", "state=resume")
        return state in TAKES_JOBS

    def stop(self) -> None:
        """End all jobs, then all daemons, the last started first."""
        if self.slurmctld.pid() is not None and self.succeeds("scontrol", "ping"):
            self.succeeds("scancel", f"--user={getpass.getuser()}")
            until(lambda: not self.output("squeue", "-h", "-t", "R,CG,S"), 10, every_s=0.1)
        for name in self.nodes:
            self.crash(name)
        for daemon in reversed([self.munged, self.mariadb, self.slurmdbd, self.slurmctld]):
            daemon.stop()

    def crash(self, name: str) -> None:
        """A node's power fails: its slurmd and every process of its jobs are gone at once."""
        self.node(name).stop(signal.SIGKILL)
        kill_steps(self.dir / f"log/{name}.log")

    def node(self, name: str) -> Daemon:
        """The daemon of a node."""
        if name not in self.nodes:
            raise ClusterError(f"there is no node {name}: {', '.join(self.nodes)}")
        return self.nodes[name]

    def succeeds(self, *command: str) -> bool:
        """Whether a command ends with 0 within 10 s."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, env=self.environment, capture_output=True, timeout=10)
            return done.returncode == 0
        return False

    def output(self, *command: str, typed: str = "") -> str:
        """What a command prints, and what it was sent."""
        try:
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, input=typed
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{command[0]} has not ended after {PATIENCE} s") from None
        if done.returncode:
            raise ClusterError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout


def free_ports(n: int, folder: Path) -> int:
    """The first of n ports in a row at which nobody listens; where the search begins hangs on the folder.

    So two clusters that are started at the same moment do not find the same ones.
    """
    begin = zlib.crc32(os.fsencode(folder)) % len(PORTS)
    for first in itertools.chain(PORTS[begin:], PORTS[:begin]):
        if all(_is_free(port) for port in range(first, first + n)):
            return first
    raise ClusterError(f"no {n} free ports in a row from {PORTS[0]} to {PORTS[-1]}: give --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
