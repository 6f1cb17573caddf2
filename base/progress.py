"""Progress with rate and time left: a bar in a terminal, plain lines in a log."""

import logging
import os
import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from tqdm import tqdm


class _Lines(tqdm):
    """The same figures as the bar, as a line now and then, for logs and batch jobs."""

    _shown = 0

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        # tqdm draws at the start, and once more at the end; in a log each would be a line too many.
        if self.n > self._shown:
            self._shown = int(self.n)
            print(str(self), file=sys.stderr, flush=True)


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """Show how far a loop is, on standard error.

    Parameters
    ----------
    iterable : iterable, optional
        What to loop over; without it, call `update(n)` on what is returned.
    **options
        Those of `tqdm.tqdm`: `desc`, `total`, `unit`.

    Returns
    -------
    tqdm
        The iterable, or a context manager with `update`.
    """
    # Some pseudo-terminals are 0 columns wide, in which a bar would be blank.
    if sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns:
        return tqdm(iterable, dynamic_ncols=True, **options)
    # What tqdm itself writes, such as the line feed at the end, goes nowhere.
    return _Lines(iterable, file=StringIO(), mininterval=10, ascii=True, ncols=100, **options)


def say(message: str) -> None:
    """Print a line for the user, without tearing a progress bar.

    Parameters
    ----------
    message : str
        The line.
    """
    try:
        tqdm.write(message, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read along (`… | head`) has left; the work goes on.
        stop_printing()


def log_lines(name: str) -> None:
    """Say what some code logs, as lines for the user.

    Parameters
    ----------
    name : str
        The logger's: that of a package of this project.
    """
    own = logging.getLogger(name)
    own.setLevel(logging.INFO)
    own.handlers = [LogLines()]
    own.propagate = False


class LogLines(logging.Handler):
    """What this project's code logs, as lines for the user, without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        warning = "warning: " if record.levelno >= logging.WARNING else ""
        say(f"{warning}{record.getMessage()}")


def stop_printing() -> None:
    """Send what is printed from now on nowhere, since its reader has left."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end of the process
