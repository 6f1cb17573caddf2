"""Arguments of this run: conversion of paths, and commands that messages tell the user to run."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, wraps
from inspect import Parameter, getdoc, signature
from itertools import chain
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from base.command_line.targets import (
    CALLED_BY,
    TARGETS,
    VARIABLES,
    Command,
    Variable,
    split_items,
    split_paths,
)
from base.command_line.verbs import SINGLE, VERB_NAMES

P = ParamSpec("P")
R = TypeVar("R")
FOLDERS = ("data", "out")
# The console script.
ROIRIDGE = "roiridge"
PACKAGES = {ROIRIDGE} | {name.module.split()[0].partition(".")[0] for name, *_ in TARGETS.values()}
# The folders `data` and `out` of the command that runs.
_folders: dict[str, str] = {}


def convert_paths(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that also accepts str for parameters that are annotated as Path.

    While it runs, `run_hint` uses the folders `data` and `out` that it was called with.

    Parameters
    ----------
    function : callable
        A function with annotated parameters.

    Returns
    -------
    callable
        The wrapped function, with the same signature.

    Examples
    --------
    >>> @convert_paths
    ... def count_subjects(data: Path) -> int:
    ...     return len(list(data.glob("subj*")))
    >>> count_subjects("data")
    2
    """
    parameters = signature(function)

    @cache
    def path_names() -> set[str]:
        # Only at the first call: annotations may name objects defined later in the module.
        hints = get_type_hints(function)
        return {name for name, hint in hints.items() if hint in (Path, Path | None)} - {"return"}

    @wraps(function)
    def wrapper(*arguments: P.args, **keywords: P.kwargs) -> R:
        bound = parameters.bind(*arguments, **keywords)
        for name in path_names() & bound.arguments.keys():
            if bound.arguments[name] is not None:
                bound.arguments[name] = Path(bound.arguments[name])
        with _remember_folders(bound.arguments):
            return function(*bound.args, **bound.kwargs)

    return wrapper


def spread_options(function: Callable[..., R]) -> Callable[..., R]:
    """Return a function that takes the fields of one argument, a dataclass, one by one.

    The fields stand in the place of the argument: their defaults in the signature, and the
    attributes of the dataclass in the docstring.
    """
    arguments = signature(function).parameters
    name, options = next((n, p.annotation) for n, p in arguments.items() if _has_fields(p))
    parameters = {field.name: _parameter(field) for field in fields(options)}
    replacements = [
        list(parameters.values()) if argument == name else [parameter]
        for argument, parameter in arguments.items()
    ]
    spread = signature(function).replace(parameters=list(chain.from_iterable(replacements)))

    @wraps(function)
    def wrapper(*arguments: Any, **keywords: Any) -> R:
        values = spread.bind(*arguments, **keywords).arguments
        choices = {field: values.pop(field) for field in parameters.keys() & values.keys()}
        return function(**{name: options(**choices)}, **values)

    help_of_fields = str(getdoc(options)).partition("Attributes\n----------\n")[2].rstrip()
    entry = re.compile(rf"^{name} : .*(\n    .*)*", re.MULTILINE)
    wrapper.__doc__ = entry.sub(lambda _: help_of_fields, str(getdoc(function)))
    wrapper.__annotations__ = {n: p.annotation for n, p in spread.parameters.items()}
    wrapper.__annotations__["return"] = spread.return_annotation
    wrapper.__signature__ = spread  # type: ignore[attr-defined]
    return wrapper


def _has_fields(parameter: Parameter) -> bool:
    return is_dataclass(parameter.annotation)


def _parameter(field: Field[Any]) -> Parameter:
    """Return the parameter of a function that stands for a field with a default."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(field.name, kind, default=default, annotation=field.type)


@contextmanager
def _remember_folders(arguments: Mapping[str, Any]) -> Iterator[None]:
    before = _folders.copy()
    _folders.update({name: str(arguments[name]) for name in FOLDERS if arguments.get(name)})
    try:
        yield
    finally:
        _folders.clear()
        _folders.update(before)


def run_hint(name: str, **arguments: Any) -> str:
    """Return a command to type, with the folders of this run, in the way that this run was called.

    Parameters
    ----------
    name : str
        A target of the Makefile, or else a module and verb, such as "cache prune".
    **arguments : object
        Values by the names of the command's parameters. `data` and `out` are by default those of
        this run; where `name` is not a target, they are left out unless they are passed.

    Returns
    -------
    str
        A make command; where this run was called by `python -m` or `roiridge`, or `name` is not a
        target, `python -m regress --subject 03` or `roiridge fit --subject 03`.

    Examples
    --------
    >>> run_hint("fit", subject="03", data="challenge")
    'make fit SUBJECT=03 DATA=challenge'
    """
    command = TARGETS[name][0] if name in TARGETS else Command(name, ())
    for folder in FOLDERS:
        if folder in arguments or folder.upper() in command.variables:
            default = _folders.get(folder) or _flag(folder)
            # The folders come last in the command.
            arguments[folder] = arguments.pop(folder, None) or default
    python = _python()
    if name in TARGETS and (CALLED_BY in os.environ or not python):
        return make_command(name, arguments)
    start = roiridge_command(command.module) or f"{python or 'python'} -m {command.module}"
    return f"{start} {shlex.join(_flags(arguments, command.positional.lower()))}".rstrip()


def roiridge_command(module: str) -> str:
    """Return the verb of `roiridge` that calls a module; empty if this run was called otherwise."""
    verb = VERB_NAMES.get(module)
    if verb and sys.orig_argv[:1] == [ROIRIDGE]:
        return f"{ROIRIDGE} {verb}"
    is_module = _neighbors("-m", sys.orig_argv)[1] == ROIRIDGE
    return f"{_python()} -m {ROIRIDGE} {verb}" if verb and is_module else ""


def _python() -> str:
    """Return the Python that called a package of this project, if one was called."""
    if sys.orig_argv[:1] == [ROIRIDGE]:
        return shlex.quote(sys.executable)
    before, module = _neighbors("-m", sys.orig_argv)
    return shlex.join(before) if module.partition(".")[0] in PACKAGES else ""


def _flag(name: str) -> str:
    """Return the value of a flag of this run, also in its child processes; empty if absent."""
    words = [part for word in sys.orig_argv for part in word.split("=", 1)]
    return _neighbors(f"--{name}", words)[1]


def _neighbors(word: str, words: list[str]) -> tuple[list[str], str]:
    """Return the words before a word, and the word after it."""
    index = words.index(word) if word in words[:-1] else len(words)
    return words[:index], "".join(words[index + 1 : index + 2])


def make_command(target: str, arguments: Mapping[str, Any]) -> str:
    """Return the make command that passes some arguments to a target.

    Parameters
    ----------
    target : str
        A target of the Makefile.
    arguments : mapping
        Values by the names of the command's parameters; values equal to the default are left out.

    Returns
    -------
    str
        The command to type.

    Examples
    --------
    >>> make_command("fit", {"model": "ridge", "spaces": ["clip", "sam"], "subject": "all"})
    "make fit MODEL=ridge SPACES='clip sam'"
    """
    words = [
        f"{name}={shlex.quote(_join_words(arguments[variable.parameter], variable))}"
        for name, variable in VARIABLES.items()
        if not _is_default(arguments.get(variable.parameter), variable.parameter)
    ]
    return " ".join(["make", target, *words])


def _flags(arguments: Mapping[str, Any], positional: str = "") -> list[str]:
    """Return arguments as words of a command line; `positional` is the argument without a flag."""
    words, flags = list[str](), list[str]()
    for name, value in arguments.items():
        if name in SINGLE and value:
            value = " ".join(split_argument(value))
        if name == positional:
            words += split_argument(value)
        elif isinstance(value, Mapping):
            flags += [f"--{name}.{item}" for item in split_argument(value)]
        elif not _is_default(value, name):
            flags += [f"--{name}", *split_argument(value)]
    return [*words, *flags]


# Default values of the parameters of commands.
DEFAULTS = {
    "subject": "all",
    "group_by": "roi",
    "device": "auto",
    "data": "data",
    "out": "derivatives",
}


def _is_default(value: Any, parameter: str) -> bool:
    return not value or str(value) == DEFAULTS.get(parameter)


def _join_words(value: Any, variable: Variable) -> str:
    """Return a value as the text of a make variable, quoted where the variable is split."""
    words = split_argument(value)
    if variable.split in (split_items, split_paths):
        words = [shlex.quote(word) if re.search(r"[\s'\"\\]", word) else word for word in words]
    return " ".join(words)


def split_argument(value: Any) -> list[str]:
    """Return an argument as words of a command line: `name=value` for each item of a mapping."""
    if isinstance(value, Mapping):
        plain = {n: v if isinstance(v, str) else json.dumps(v, separators=(",", ":"))
                 for n, v in value.items()}  # fmt: skip
        return [f"{name}={text}" for name, text in plain.items()]
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
