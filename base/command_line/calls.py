"""How this run was called: paths given as text, and commands that messages tell the user to run."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from base.command_line.targets import (
    CALLED_BY,
    TARGETS,
    VARIABLES,
    Variable,
    split_items,
    split_paths,
)

P = ParamSpec("P")
R = TypeVar("R")
FOLDERS = ("data", "out")
PACKAGES = {name.module.split()[0].partition(".")[0] for name, *_ in TARGETS.values()}
# Parameters that are one word of a command line.
SINGLE = {variable.parameter for variable in VARIABLES.values() if variable.split is None}
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


def make_command(target: str, arguments: Mapping[str, Any]) -> str:
    """Return the make command that gives some arguments to a target, as it is typed.

    Parameters
    ----------
    target : str
        Of the Makefile.
    arguments : mapping
        Values by the names of the command's parameters; those that are as by default are left out.

    Returns
    -------
    str
        Such as `make features SPACES=clip DATA=challenge`.
    """
    words = [
        f"{name}={shlex.quote(_joined(arguments[variable.parameter], variable))}"
        for name, variable in VARIABLES.items()
        if not _is_usual(arguments.get(variable.parameter), variable.parameter)
    ]
    return " ".join(["make", target, *words])


def python_command(module: str, arguments: Mapping[str, Any], positional: str = "") -> str:
    """Return what gives some arguments to a command, as it is typed behind `python -m`.

    Parameters
    ----------
    positional : str
        The one of them that is given without a flag.
    """
    words, flags = module.split(), list[str]()
    for name, value in arguments.items():
        if name in SINGLE and value:
            value = " ".join(split_argument(value))
        if name == positional:
            words += split_argument(value)
        elif isinstance(value, Mapping):
            flags += [f"--{name}.{item}" for item in split_argument(value)]
        elif not _is_usual(value, name):
            flags += [f"--{name}", *split_argument(value)]
    return shlex.join([*words, *flags])


# What commands take where nothing is given.
USUAL = {
    "subject": "all",
    "group_by": "roi",
    "device": "auto",
    "data": "data",
    "out": "derivatives",
}


def _is_usual(value: Any, parameter: str) -> bool:
    return not value or str(value) == USUAL.get(parameter)


def _joined(value: Any, variable: Variable) -> str:
    """Return the value of a variable that is split into these words again."""
    words = split_argument(value)
    if variable.split in (split_items, split_paths):
        words = [shlex.quote(word) if re.search(r"[\s'\"\\]", word) else word for word in words]
    return " ".join(words)


def split_argument(value: Any) -> list[str]:
    """Return an argument as the words of a command line.

    Parameters
    ----------
    value : object
        A mapping becomes `name=value` words, a list or tuple a word for each item.
    """
    if isinstance(value, Mapping):
        plain = {n: v if isinstance(v, str) else json.dumps(v, separators=(",", ":"))
                 for n, v in value.items()}  # fmt: skip
        return [f"{name}={text}" for name, text in plain.items()]
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
