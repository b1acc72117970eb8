"""A SLURM cluster of one node on this machine: slurmctld, slurmd and munged, all in one folder.

Debian's slurm-wlm and munge provide the programs. The daemons run as the user of the tests, listen
on free ports, and need neither systemd nor cgroups nor the files in /etc.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol")
CPUS = 2  # jobs that run at the same time
SILENT = 10  # seconds without an answer after which a node is down, and its jobs are requeued
PATIENCE = 60  # seconds that a daemon may take to start, or a node to be down

CONFIG = """
ClusterName=minitx
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdTimeout={silent}
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=30
MinJobAge=86400
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=test Nodes={host} Default=YES State=UP
"""

# submitit asks the accounting, which needs a database. scontrol gives the same answers, because
# MinJobAge keeps the jobs that have ended.
SACCT = """#!/bin/sh
echo 'JobID|State|NodeList'
scontrol --oneliner show jobs | awk '/^JobId=/ {
    delete value
    for (i = 1; i <= NF; i++) { split($i, pair, "="); value[pair[1]] = pair[2] }
    id = value["JobId"]
    if ("ArrayTaskId" in value) id = value["ArrayJobId"] "_" value["ArrayTaskId"]
    if (id ~ /[-,]/) next  # tasks that have not started
    print id "|" value["JobState"] "|" value["NodeList"]
}'
"""


def missing() -> list[str]:
    """Return the programs that are not installed. Debian has some of them in /usr/sbin."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


class Cluster:
    """The cluster, from `start` to `stop`. `environment` is that of its users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = folder / "bin"
        for each in (bin_folder, folder / "state", folder / "spool"):
            each.mkdir(parents=True, mode=0o700)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        sacct = bin_folder / "sacct"
        sacct.write_text(SACCT)
        sacct.chmod(0o755)
        ports = _free_ports(2)
        settings = CONFIG.format(
            host=socket.gethostname().partition(".")[0],
            user=subprocess.check_output(["id", "-un"], text=True).strip(),
            controller_port=ports[0],
            node_port=ports[1],
            folder=folder,
            silent=SILENT,
            cpus=CPUS,
        )
        (folder / "slurm.conf").write_text(settings)
        path = f"{bin_folder}:{os.environ['PATH']}"
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the daemons, and wait until the node takes jobs."""
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
        options = [f"--{name}={self.folder}/munge.{end}" for name, end in files.items()]
        self._start("munged", "--foreground", "--force", *options)
        _wait(lambda: (self.folder / "munge.socket").exists(), "munged does not start")
        self._start("slurmctld", "-D", "-i")
        self._start("slurmd", "-D")
        _wait(lambda: self.node_state() == "idle", "the node does not start")

    def _start(self, name: str, *options: str) -> None:
        program = _program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [program, *options], env=self.environment, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """End all jobs and all daemons."""
        if "slurmd" in self.daemons:
            self._kill_node()
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()

    def ask(self, *words: str) -> str:
        """Return what a program of SLURM prints."""
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        ).stdout

    def node_state(self) -> str:
        """Return the node's state: idle, mixed, allocated, down, ..."""
        return self.ask("sinfo", "--noheader", "--format=%T").strip()

    def running(self) -> list[str]:
        """Return the ids of the jobs that run, such as 2_0."""
        return self.ask("squeue", "--noheader", "--states=RUNNING", "--format=%i").split()

    def clear(self) -> None:
        """Cancel all jobs, and wait until they have ended."""
        self.ask("scancel", "--me")
        _wait(lambda: not self.ask("squeue", "--noheader"), "the jobs do not end")

    def submitted(self) -> int:
        """Return how many jobs were ever submitted."""
        return len(self.ask("scontrol", "--oneliner", "show", "jobs").splitlines())

    def restart_node(self) -> None:
        """Let the node fail with all that runs on it, and start it once its jobs are requeued."""
        self._kill_node()
        _wait(lambda: self.node_state().startswith("down"), "the node is not missed")
        shutil.rmtree(self.folder / "spool")
        (self.folder / "spool").mkdir(mode=0o700)
        self._start("slurmd", "-D", "-b")

    def _kill_node(self) -> None:
        """Kill slurmd, the slurmstepd of each job, and all processes of the jobs."""
        self.daemons["slurmd"].kill()
        self.daemons["slurmd"].wait()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is another user's
                if self._is_step(process) or self._is_task(process):
                    os.kill(int(process.name), signal.SIGKILL)

    def _is_step(self, process: Path) -> bool:
        """Return whether the process is a slurmstepd that writes to this node's log."""
        if (process / "comm").read_text().strip() != "slurmstepd":
            return False
        log = self.folder / "slurmd.log"
        return any(file.readlink() == log for file in (process / "fd").iterdir())

    def _is_task(self, process: Path) -> bool:
        """Return whether the process belongs to a job of this cluster."""
        variables = (process / "environ").read_bytes().split(b"\0")
        ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        return ours in variables and any(each.startswith(b"SLURM_JOB_ID=") for each in variables)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(condition, failure: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(failure)
        time.sleep(0.5)
