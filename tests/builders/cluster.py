"""A real Slurm of one node on this machine: its daemons started, used, and stopped.

It needs neither systemd nor an accounting database, and touches no Slurm that is there already:
its key, ports, state and logs are its own. Run by root or by anyone, for jobs of that user.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "setpriv")
# Debian has the daemons where only root looks for programs.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
MEMORY = 8000  # megabytes
CPUS = 4
# A task that takes more memory than it asked for is ended within about a second, without cgroups.
# A job that is requeued waits until its first credential has expired.
# What is asked of `urgent` sends jobs of `main` back to the queue.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={per_cpu}
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
ReturnToService=2
KillWait=3
SlurmdTimeout=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes={host} State=UP PriorityTier=9 PreemptMode=OFF
"""


def why_not() -> str:
    """Say why Slurm cannot run here; nothing if it can."""
    absent = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge" if absent else ""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes
    ----------
    folder : Path
        Of its state and logs.
    environment : dict of str to str
        In which Slurm's commands find it.
    """

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands, and give what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}{self.logs()}"
        return done.stdout.strip()

    def submit(self, command: str, *options: str) -> str:
        """Submit a job, and give its number; what it prints is appended to `output(number)`."""
        output = f"--output={self.folder}/job-%A.txt"
        options = (output, "--open-mode=append", f"--chdir={self.folder}", *options)
        return self.run("sbatch", "--parsable", *options, "--wrap", command)

    def output(self, job: str) -> str:
        """Give what a job has printed so far."""
        file = self.folder / f"job-{job}.txt"
        return file.read_text() if file.exists() else ""

    def told(self, job: str, field: str = "JobState") -> str:
        """Give what the controller knows of a job: its JobState, Reason, ExitCode, Restarts."""
        fields = dict(
            word.split("=", 1)
            for word in self.run("scontrol", "show", "job", job).split()
            if "=" in word
        )
        return fields[field]

    def queue(self, *options: str) -> list[str]:
        """List the jobs that wait or run: number and state."""
        return self.run("squeue", "-h", "--array", "-o", "%i %T", *options).splitlines()

    def wait(self, *jobs: str, seconds: float = 240) -> None:
        """Wait until jobs, or all jobs, have ended."""
        of = ["-j", ",".join(jobs)] if jobs else []
        self.until(lambda: not self.queue(*of), seconds)

    def until(self, what: Callable[[], object], seconds: float = 60) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds} s; {self.logs()}"
            time.sleep(0.1)

    @contextmanager
    def node_down(self) -> Iterator[None]:
        """Have the node fail, and all that ran on it with it, until the end of the block."""
        node = f"node={self.run('sinfo', '-h', '-o', '%n')}"
        self.run("scontrol", "update", node, "state=down", "reason=test")
        self.end_processes()
        self.until(lambda: self.queue("--states=RUNNING,COMPLETING") == [])
        # A node that boots purges the scripts of jobs; beside one, Slurm refuses to start its job.
        for script in (self.folder / "spool").glob("job*"):
            shutil.rmtree(script, ignore_errors=True)
        yield
        self.until(lambda: self._resumed(node))

    def _resumed(self, node: str) -> bool:
        # It is refused while jobs are being ended there.
        self.run("scontrol", "update", node, "state=resume", check=False)
        return "down" not in self.run("sinfo", "-h", "-o", "%T")

    def processes(self) -> list[int]:
        """Find the processes of jobs, and Slurm's own that hold them."""
        found = []
        mine = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                given = (process / "environ").read_bytes().split(b"\0")
                job = any(name.startswith(b"SLURM_JOB_ID=") for name in given)
                if mine in given and (job or "slurmstepd" in (process / "comm").read_text()):
                    found.append(int(process.name))
        return found

    def end_processes(self, seconds: float = 10) -> None:
        """Kill what runs on the node."""
        end = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < end:
            for process in left:
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)

    def logs(self) -> str:
        """Give the ends of all that jobs and daemons printed."""
        files = [*self.folder.glob("*.txt"), *self.folder.glob("*.log")]
        return "\n".join(f"{file.name}: {file.read_text()[-900:]}" for file in files)


@contextmanager
def running(
    folder: Path, cpus: int = CPUS, memory: int = MEMORY, hidden: Path | None = None
) -> Iterator[Cluster]:
    """Start a cluster of one node; stop it, and whatever ran on it, at the end of the block."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    # munged wants a folder that others cannot write.
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=host, user=getpass.getuser(), folder=folder, ports=_free_ports(2),
            cpus=cpus, memory=memory, per_cpu=memory // (2 * cpus),
        )
    )  # fmt: skip
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": PATH}
    cluster = Cluster(folder, environment)
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file")]
    munged += [f"--seed-file={folder}/munge.seed"]
    with ExitStack() as stack:
        # When the daemons have stopped, so that nothing starts any more.
        stack.callback(cluster.end_processes)
        stack.enter_context(_daemon(cluster, *munged))
        cluster.until((folder / "munge.socket").exists)
        stack.enter_context(_daemon(cluster, "slurmctld", "-D"))
        node = ["slurmd", "-D", "-N", host]
        if hidden:
            # The node finds this folder empty, as where a file system is not mounted.
            mounted = 'mount -t tmpfs none "$0" && exec "$@"'
            node = ["unshare", "--mount", "sh", "-c", mounted, str(hidden), *node]
        stack.enter_context(_daemon(cluster, *node))
        cluster.until(lambda: "idle" in cluster.run("sinfo", "-h", "-o", "%T", check=False))
        yield cluster


@contextmanager
def _daemon(cluster: Cluster, *command: str) -> Iterator[None]:
    # In a session of its own, a Ctrl-C does not reach it before the jobs are ended; and it is told
    # to end when this process dies, be it killed.
    with (cluster.folder / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            env=cluster.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
