"""How this run was called: paths given as text, and commands that messages tell the user to run."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from base.targets import CALLED_BY, TARGETS, make_command, python_command

P = ParamSpec("P")
R = TypeVar("R")
FOLDERS = ("data", "out")
PACKAGES = {name.module.split()[0].partition(".")[0] for name, *_ in TARGETS.values()}
# The folders that were given to the function which runs.
_folders: dict[str, str] = {}


def convert_paths(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with paths as str where its signature says Path, too.

    While it runs, `run_hint` names the folders `data` and `out` that it was given.

    Parameters
    ----------
    function : callable
        With annotated parameters.

    Returns
    -------
    callable
        With the same signature.
    """
    parameters = signature(function)

    @cache
    def path_names() -> set[str]:
        # Only now: annotations may name what is defined later in the module.
        hints = get_type_hints(function)
        return {name for name, hint in hints.items() if hint in (Path, Path | None)} - {"return"}

    @wraps(function)
    def converted(*arguments: P.args, **named: P.kwargs) -> R:
        bound = parameters.bind(*arguments, **named)
        for name in path_names() & bound.arguments.keys():
            if bound.arguments[name] is not None:
                bound.arguments[name] = Path(bound.arguments[name])
        with _noting(bound.arguments):
            return function(*bound.args, **bound.kwargs)

    return converted


@contextmanager
def _noting(arguments: Mapping[str, Any]) -> Iterator[None]:
    before = _folders.copy()
    _folders.update({name: str(arguments[name]) for name in FOLDERS if arguments.get(name)})
    try:
        yield
    finally:
        _folders.clear()
        _folders.update(before)


def run_hint(name: str, **arguments: Any) -> str:
    """Return a command as it must be typed: with the folders of this run, as this run was called.

    Parameters
    ----------
    name : str
        A target of the Makefile, or else a module and verb, such as "cache prune".
    **arguments : object
        Values by the names of the command's parameters. `data` and `out` are those of this run if
        they are not known; of a command that is no target they are left out unless they are named.

    Returns
    -------
    str
        `make fit SUBJECT=03 DATA=challenge`; where this run was called by `python -m`, and for what
        is no target, `python -m regress --subject 03 --data challenge`.
    """
    command = TARGETS[name][0] if name in TARGETS else None
    for folder in FOLDERS:
        if folder in arguments or (command and folder.upper() in command.variables):
            known = _folders.get(folder) or _flag(folder)
            # At the end, whoever named it.
            arguments[folder] = arguments.pop(folder, None) or known
    python = _python()
    if command is None:
        return f"{python or 'python'} -m {python_command(name, arguments)}"
    if CALLED_BY in os.environ or not python:
        return make_command(name, arguments)
    return f"{python} -m {python_command(command.module, arguments, command.positional.lower())}"


def _python() -> str:
    """Return the Python by which a package of this project was called with -m, if it was."""
    before, module = _around("-m", sys.orig_argv)
    return shlex.join(before) if module.partition(".")[0] in PACKAGES else ""


def _flag(name: str) -> str:
    """Return what the command line of this run says, which its other processes know too."""
    words = [part for word in sys.orig_argv for part in word.split("=", 1)]
    return _around(f"--{name}", words)[1]


def _around(word: str, words: list[str]) -> tuple[list[str], str]:
    """Return the words before a word, and the one behind it."""
    at = words.index(word) if word in words[:-1] else len(words)
    return words[:at], "".join(words[at + 1 : at + 2])
