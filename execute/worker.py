"""The main function of a worker process: it asks for units, does them, and sends its output."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from io import TextIOBase
from itertools import groupby
from multiprocessing.connection import Connection
from operator import itemgetter
from typing import Any

from tqdm import tqdm

from base import RoiridgeError
from base.processes import end_with_parent
from base.progress import log_lines
from execute.work import Unit, Work, package_of


def serve(pipe: Connection, command: list[str], begin: Callable[[], object], work: Work) -> None:
    """Ask for units and do them, until there are no more.

    The pipe to the process that started this one is sent tuples: ("ask",), answered with a unit or
    None; ("line", to_errors, text); ("done", group, result); ("failed", exception). The results
    record `command`, the user's command line.
    """
    end_with_parent()
    signal.signal(signal.SIGTERM, _interrupt)
    # Instead of the command that spawned this process.
    sys.orig_argv = command
    send = _Sender(pipe)
    sys.stdout, sys.stderr = _Lines(send, False), _Lines(send, True)
    log_lines(package_of(work))
    # tqdm's own lock is shared among processes, and a process that is killed would keep it.
    tqdm.set_lock(threading.RLock())
    try:
        begin()
        for group, units in groupby(iter(send.ask, None), itemgetter(0)):
            send("done", group, work(group, (number for _, number in units)))
    except KeyboardInterrupt:
        # The exit status of a process that a signal ended, as in a shell.
        os._exit(128 + signal.SIGTERM)
    except (RoiridgeError, OSError) as error:
        send("failed", error)
    except Exception:
        send("failed", RuntimeError(f"in a process of its own:\n{traceback.format_exc()}"))
    # Everything is written; the ordinary exit would take seconds to free Lightning and torch.
    os._exit(0)


def _interrupt(*_: object) -> None:
    # Only once: the cleanup that follows must not be interrupted too.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Sender:
    """Sends the messages of several threads, one after the other."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.RLock()

    def __call__(self, *message: Any) -> None:
        try:
            with self._lock:
                self._pipe.send(message)
        except OSError as error:
            # The process that started this one has ended.
            raise KeyboardInterrupt from error

    def ask(self) -> Unit | None:
        """Return the next unit, or None if there is none."""
        self("ask")
        try:
            unit: Unit | None = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise KeyboardInterrupt from error
        return unit


class _Lines(TextIOBase):
    """A text stream that sends whole lines; it is no terminal, so progress bars are not drawn."""

    def __init__(self, send: _Sender, to_errors: bool) -> None:
        self._send, self._to_errors, self._rest = send, to_errors, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._send("line", self._to_errors, line)
        return len(text)
