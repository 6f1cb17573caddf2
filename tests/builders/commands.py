"""Commands of ours as a user calls them, in the process of the tests: its imports are there.

What ends a process, or asks for an environment of its own, takes a process of its own.
"""

import io
import logging
import runpy
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

PACKAGES = (
    "cache",
    "challenge",
    "evaluate",
    "execute",
    "extract",
    "networks",
    "plan",
    "predict",
    "regress",
)


def call(module: str, *arguments: object) -> CompletedProcess[str]:
    """Do what `python -m module arguments` does."""
    words = [str(one) for one in arguments]
    out, err = io.StringIO(), io.StringIO()
    quiet = warnings.catch_warnings()
    with _called(module, words), redirect_stdout(out), redirect_stderr(err), quiet:
        try:
            warnings.filterwarnings("ignore", message=".*found in sys.modules")
            runpy.run_module(module, run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        else:
            status = 0
    assert status is None or isinstance(status, int)
    return CompletedProcess(words, status or 0, out.getvalue(), err.getvalue())


@contextmanager
def _called(module: str, words: list[str]) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = sys.argv, sys.orig_argv, [(o.level, o.handlers, o.propagate) for o in loggers]
    sys.argv, sys.orig_argv = [module, *words], [sys.executable, "-m", module, *words]
    try:
        yield
    finally:
        sys.argv, sys.orig_argv, told = before
        for logger, (level, handlers, propagate) in zip(loggers, told, strict=True):
            logger.level, logger.handlers, logger.propagate = level, handlers, propagate
