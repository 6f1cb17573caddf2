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
    """Progress as a line now and then in place of a bar, for logs and batch jobs."""

    _n_printed = 0

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        # tqdm draws at the start, and once more at the end; in a log each would be a line too many.
        if self.n > self._n_printed:
            self._n_printed = int(self.n)
            print(str(self), file=sys.stderr, flush=True)


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """Show the progress of a loop on standard error.

    Parameters
    ----------
    iterable : iterable, optional
        The iterable to loop over; without it, call `update(n)` on the returned object.
    **options
        Options of `tqdm.tqdm`: `desc`, `total`, `unit`.

    Returns
    -------
    tqdm
        The iterable, or a context manager with `update`.

    Examples
    --------
    >>> for subject in progress(["01", "02"], desc="scores", unit="subject"):
    ...     print(subject)
    01
    02
    """
    # Some pseudo-terminals are 0 columns wide, in which a bar would be blank.
    if sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns:
        return tqdm(iterable, dynamic_ncols=True, **options)
    # The output of tqdm itself, such as the line feed at the end, is discarded.
    return _Lines(iterable, file=StringIO(), mininterval=10, ascii=True, ncols=100, **options)


def say(message: str) -> None:
    """Print a line for the user, without tearing a progress bar.

    Parameters
    ----------
    message : str
        The text of the line.

    Examples
    --------
    >>> say("2 subjects")
    2 subjects
    """
    try:
        tqdm.write(message, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (`… | head`) has ended; the work goes on.
        stop_printing()


def log_lines(name: str) -> None:
    """Print the log records of a package of this project as lines for the user."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.handlers = [LogLines()]
    logger.propagate = False


class LogLines(logging.Handler):
    """Handler that prints log records as lines, without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        warning = "warning: " if record.levelno >= logging.WARNING else ""
        say(f"{warning}{record.getMessage()}")


def stop_printing() -> None:
    """Discard all further output to standard output, whose reader has ended."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end of the process
