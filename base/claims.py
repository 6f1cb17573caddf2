"""Claims: who does a piece of work, seen by all machines that share a file system.

A claim is a file with who holds it, and a lease: whoever holds it touches the file every few
seconds; whoever waits for it watches whether that goes on. It needs no locks of the file system,
which those of clusters often lack, and compares no clocks, which differ between machines. A claim
saves work that would be done twice; it does not protect files, which are published by rename: of
two processes that both believe they hold one, such as after a machine stood still for longer than
the lease, each leaves whole files.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from base.documents import DocumentError, read_json
from base.progress import say

# Seconds without a sign of life after which a claim's holder counts as dead. File attributes on a
# network file system may be a minute old.
LEASE = 90.0
# Signs of life in a lease.
SIGNS = 6
# Bytes of a claim's file; what is larger is none.
LARGEST = 1 << 16
Piece = TypeVar("Piece")


@contextmanager
def claiming(path: Path, wait: bool = True, lease: float = LEASE) -> Iterator[bool]:
    """Hold a claim for a block, if nobody else does.

    Parameters
    ----------
    path : Path
        The claim's file; its folder is made where missing.
    wait : bool
        Whether to wait for another holder to end, or to die.
    lease : float
        Seconds; all who use a claim give the same.

    Yields
    ------
    bool
        Whether it is held: False only without `wait`, while another holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = uuid4().hex
    taken = _take(path, token, wait, lease)
    if not taken:
        yield False
        return
    ended = threading.Event()
    beat = threading.Thread(target=_live, args=(path, token, ended, lease / SIGNS), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        ended.set()
        beat.join()
        if _read(path).get("token") == token:
            path.unlink(missing_ok=True)


def taking_turns(
    pieces: Iterable[Piece], claim: Callable[[Piece], Path], lease: float = LEASE
) -> Generator[Piece, None, None]:
    """Go through pieces of work, first those that nobody else does now.

    Parameters
    ----------
    pieces : iterable
        What is to be done. Where it has methods `postpone`, without arguments, and `resume`, which
        takes a piece, they are called when the last one is left to others, and when one of those
        has its turn.
    claim : callable
        Gives the file of a piece's claim.
    lease : float
        As for `claiming`.

    Yields
    ------
    object
        Each piece, while its claim is held. Those that others held come last, when these have
        ended: what is done of them must be looked for then.
    """
    others = []
    for piece in pieces:
        with claiming(claim(piece), wait=False, lease=lease) as held:
            if held:
                yield piece
                continue
        others.append(piece)
        if hasattr(pieces, "postpone"):
            pieces.postpone()
    for piece in others:
        with claiming(claim(piece), lease=lease):
            if hasattr(pieces, "resume"):
                pieces.resume(piece)
            yield piece


def is_claimed(path: Path) -> bool:
    """Say whether a claim is held; one of a dead process on another machine counts for its lease.

    Parameters
    ----------
    path : Path
        The claim's file.

    Returns
    -------
    bool
        False also where there is no such file.
    """
    about = _read(path)
    return path.exists() and not (about and has_ended(about))


def holder_of(path: Path) -> str:
    """Say who holds a claim.

    Parameters
    ----------
    path : Path
        The claim's file.

    Returns
    -------
    str
        For example "process 4711 on node3, job 12_3"; empty where nobody does.
    """
    about = _read(path)
    if not about:
        return ""
    job = f", job {about['job']}" if about.get("job") else ""
    return f"process {about.get('process')} on {about.get('host')}{job}"


def identity() -> dict[str, object]:
    """Describe this process, so that it can be known to have ended.

    Returns
    -------
    dict
        Host, boot and process, with its start; and the job of a batch system, with how often it
        was started again.
    """
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "process": os.getpid(),
        "started": _started(os.getpid()),
        "job": f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", ""),
        "restart": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
    }


def has_ended(about: dict[str, object]) -> bool:
    """Say whether a process is known to have ended.

    Parameters
    ----------
    about : dict
        As `identity` gave it there.

    Returns
    -------
    bool
        False also where it cannot be known, such as on another machine.
    """
    mine = identity()
    if not _is_identity(about):
        return False
    if about["boot"] and about["boot"] == mine["boot"]:
        return _started(int(str(about["process"]))) != about["started"]
    # A job that was started again has not gone on before.
    again = bool(about["job"]) and about["job"] == mine["job"]
    return again and int(str(about["restart"])) < int(str(mine["restart"]))


def _is_identity(about: dict[str, object]) -> bool:
    """Return whether a mapping tells all that `identity` tells."""
    return all(type(about.get(name)) is type(value) for name, value in identity().items())


def _boot() -> str:
    """Identify this run of the machine, and the processes that can be seen in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # Not Linux: the host's name must do, and a boot ends no claim before its lease.
        return socket.gethostname()


def _started(process: int) -> str:
    """Say when a process started, in the kernel's own count; nothing if there is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        with suppress(ProcessLookupError):
            os.kill(process, 0)
            return "running"
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def _take(path: Path, token: str, wait: bool, lease: float) -> bool:
    told, seen, since, pause = False, (0, b""), time.monotonic(), 0.02
    while True:
        if _create(path, token):
            return True
        now = _sign(path)
        if now != seen:
            seen, since = now, time.monotonic()
        about = _read(path)
        if (about and has_ended(about)) or time.monotonic() - since > lease:
            _break(path, seen[1], about)
            seen, since = (0, b""), time.monotonic()
            continue
        if not wait:
            return False
        if not told and about:
            say(f"{path.name}: {holder_of(path)} is at it; waiting")
            told = True
        time.sleep(pause)
        pause = min(1.0, lease / 30, 1.5 * pause)


def _create(path: Path, token: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        json.dump(identity() | {"token": token}, file)
    return True


def _read(path: Path) -> dict[str, object]:
    """Read a claim; nothing where there is none, one that is just being written, or damaged."""
    try:
        about: dict[str, object] = read_json(path, largest=LARGEST)
    except (FileNotFoundError, DocumentError):
        return {}
    return about


def _sign(path: Path) -> tuple[int, bytes]:
    """Give what changes while the holder lives, as the file's server has it."""
    try:
        # A network file system looks anew when a file is opened.
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns, file.read(LARGEST)
    except FileNotFoundError:
        return 0, b""


def _break(path: Path, content: bytes, about: dict[str, object]) -> None:
    """Remove the claim of a dead holder, but none that another has made meanwhile."""
    dead = path.with_name(f"{path.name}.{uuid4().hex[:8]}.dead")
    try:
        path.rename(dead)
    except FileNotFoundError:
        return
    if dead.read_bytes()[:LARGEST] != content:
        with suppress(FileExistsError):
            os.link(dead, path)
    elif about:
        how = "has ended" if has_ended(about) else "gave no sign of life"
        say(f"{path.name}: process {about.get('process')} on {about.get('host')} {how}; taken over")
    dead.unlink()


def _live(path: Path, token: str, ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        # A claim that was taken over is another's; a server that is away may come back.
        with suppress(OSError):
            if _read(path).get("token") == token:
                # Without a time of this machine: the file's server sets its own.
                os.utime(path)
