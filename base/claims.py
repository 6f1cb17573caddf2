"""Claims: which process does a piece of work, visible to all machines that share a file system.

A claim is a file that names its holder. The holder touches the file every few seconds; processes
that wait for the claim watch these changes, and take it over when none came for the time of a
lease. Claims need no locks of the file system, which those of clusters often lack, and compare no
clocks, which differ between machines. A claim avoids work that would be done twice; it does not
protect files, which are published by rename: if two processes believe that they hold one, such as
after a machine was suspended for longer than the lease, each leaves whole files.
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
# How often a holder touches its file within a lease.
SIGNS_PER_LEASE = 6
# Largest file, in bytes, that is read as a claim.
MAX_BYTES = 1 << 16
Piece = TypeVar("Piece")


@contextmanager
def claiming(path: Path, wait: bool = True, lease: float = LEASE) -> Iterator[bool]:
    """Hold a claim during a block, unless another process holds it.

    Parameters
    ----------
    path : Path
        The claim's file; its folder is created if it does not exist.
    wait : bool
        Whether to wait until another holder releases the claim or dies.
    lease : float
        Seconds without a sign of life after which a holder counts as dead; the same for all
        processes that use the claim.

    Yields
    ------
    bool
        Whether it is held: False only without `wait`, while another holds it.

    Examples
    --------
    >>> with claiming(Path("claims/fit-subj01")) as is_held:
    ...     print(is_held)
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = uuid4().hex
    is_held = _acquire(path, token, wait, lease)
    if not is_held:
        yield False
        return
    ended = threading.Event()
    beat = threading.Thread(
        target=_keep_alive, args=(path, token, ended, lease / SIGNS_PER_LEASE), daemon=True
    )
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
    """Yield pieces of work, first those that no other process works on.

    Parameters
    ----------
    pieces : iterable
        The pieces. If it has the methods `postpone()` and `resume(piece)`, the first is called
        when the last piece is postponed because another process holds it, the second when a
        postponed piece is yielded.
    claim : callable
        Returns the claim's file for a piece.
    lease : float
        The lease of `claiming`, in seconds.

    Yields
    ------
    object
        Each piece, while its claim is held. Pieces that other processes held come last, once these
        have released them: the caller must check then whether they are done.

    Examples
    --------
    >>> list(taking_turns(["01", "02"], claim=lambda subject: Path("claims") / subject))
    ['01', '02']
    """
    postponed = []
    for piece in pieces:
        with claiming(claim(piece), wait=False, lease=lease) as is_held:
            if is_held:
                yield piece
                continue
        postponed.append(piece)
        if hasattr(pieces, "postpone"):
            pieces.postpone()
    for piece in postponed:
        with claiming(claim(piece), lease=lease):
            if hasattr(pieces, "resume"):
                pieces.resume(piece)
            yield piece


def is_claimed(path: Path) -> bool:
    """Return whether a claim is held; a dead process on another machine holds it for its lease."""
    holder = _read(path)
    return path.exists() and not (holder and has_ended(holder))


def claim_holder(path: Path) -> str:
    """Return the holder of a claim, as "process 4711 on node3, job 12_3"; empty if it is free."""
    holder = _read(path)
    if not holder:
        return ""
    job = f", job {holder['job']}" if holder.get("job") else ""
    return f"process {holder.get('process')} on {holder.get('host')}{job}"


def identity() -> dict[str, object]:
    """Return the identity of this process, from which `has_ended` finds out whether it lives.

    It holds the host, its boot, the number and start time of the process, and the job of a batch
    system with the number of its restarts.
    """
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return {
        "host": socket.gethostname(),
        "boot": _boot_identifier(),
        "process": os.getpid(),
        "started": _start_time(os.getpid()),
        "job": f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", ""),
        "restart": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
    }


def has_ended(holder: dict[str, object]) -> bool:
    """Return whether a process, by its `identity`, is known to have ended."""
    this_process = identity()
    if not _is_identity(holder):
        return False
    if holder["boot"] and holder["boot"] == this_process["boot"]:
        return _start_time(int(str(holder["process"]))) != holder["started"]
    # A job is started again only after its earlier processes have ended.
    is_same_job = bool(holder["job"]) and holder["job"] == this_process["job"]
    return is_same_job and int(str(holder["restart"])) < int(str(this_process["restart"]))


def _is_identity(holder: dict[str, object]) -> bool:
    """Return whether a mapping has all fields of `identity`, of the same types."""
    return all(type(holder.get(name)) is type(value) for name, value in identity().items())


def _boot_identifier() -> str:
    """Return an identifier of this boot of the machine and of its process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # Not Linux: by the host's name alone, claims of an earlier boot end only with their lease.
        return socket.gethostname()


def _start_time(process: int) -> str:
    """Return the start time of a process in clock ticks of the kernel; empty if it has ended."""
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


def _acquire(path: Path, token: str, wait: bool, lease: float) -> bool:
    is_reported, last_state, last_change, pause = False, (0, b""), time.monotonic(), 0.02
    while True:
        if _create(path, token):
            return True
        state = _state(path)
        if state != last_state:
            last_state, last_change = state, time.monotonic()
        holder = _read(path)
        if (holder and has_ended(holder)) or time.monotonic() - last_change > lease:
            _remove_dead(path, last_state[1], holder)
            last_state, last_change = (0, b""), time.monotonic()
            continue
        if not wait:
            return False
        if not is_reported and holder:
            say(f"{path.name}: {claim_holder(path)} works on it; waiting")
            is_reported = True
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
    """Read a claim's file; empty if it is missing, damaged or just being written."""
    try:
        holder: dict[str, object] = read_json(path, max_bytes=MAX_BYTES)
    except (FileNotFoundError, DocumentError):
        return {}
    return holder


def _state(path: Path) -> tuple[int, bytes]:
    """Return the time and content of a claim's file, which change while the holder lives."""
    try:
        # A network file system refreshes the attributes of a file when it is opened.
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns, file.read(MAX_BYTES)
    except FileNotFoundError:
        return 0, b""


def _remove_dead(path: Path, content: bytes, holder: dict[str, object]) -> None:
    """Remove the claim of a dead holder, but not one that another process has made meanwhile."""
    dead = path.with_name(f"{path.name}.{uuid4().hex[:8]}.dead")
    try:
        path.rename(dead)
    except FileNotFoundError:
        return
    if dead.read_bytes()[:MAX_BYTES] != content:
        with suppress(FileExistsError):
            os.link(dead, path)
    elif holder:
        cause = "has ended" if has_ended(holder) else "gave no sign of life"
        process = f"process {holder.get('process')} on {holder.get('host')}"
        say(f"{path.name}: {process} {cause}; taken over")
    dead.unlink()


def _keep_alive(path: Path, token: str, ended: threading.Event, interval: float) -> None:
    while not ended.wait(interval):
        # A claim may have been taken over; a server that does not answer may come back.
        with suppress(OSError):
            if _read(path).get("token") == token:
                # Not the time of this machine: the file's server sets its own.
                os.utime(path)
