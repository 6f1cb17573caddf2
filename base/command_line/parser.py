"""The command line of every stage: flags and YAML by a function's signature, errors as messages."""

import errno
import io
import json
import re
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter, auto_cli, capture_parser

from base.command_line.calls import roiridge_command
from base.command_line.targets import nearest
from base.errors import RoiridgeError
from base.progress import log_lines, stop_printing

Command = Callable[..., object]
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Verbs(Mapping[str, Command]):
    """Commands by verb, each imported when it is looked up.

    Attributes
    ----------
    package : str
        The package with a module for each verb, which defines a function of the same name.
    names : tuple of str
        The verbs.
    """

    package: str
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> Command:
        if name not in self.names:
            raise KeyError(name)
        command: Command = getattr(import_module(f"{self.package}.{name}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def run(
    commands: Command | Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run the function, and turn errors into one clear message.

    Parameters
    ----------
    commands : callable or mapping of str to callable
        The function, or one for each verb. Its signature gives the flags, its numpydoc docstring
        the help; it may return an exit status.

    Returns
    -------
    int
        The exit status: 0, the command's own, 2 for bad input, 130 when interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    return report_errors(module, lambda: call(commands, module, examples, argv))


def report_errors(module: str, work: Callable[[], int]) -> int:
    """Call a function and return its exit status; print errors that users can correct."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A log in an old encoding shows a question mark for "…"; it must not end the work.
            stream.reconfigure(errors="replace")
    log_lines(module.partition(".")[0])
    try:
        return work()
    except RoiridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: what was finished is kept; run it again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        stop_printing()
        return 0
    except OSError as error:
        if error.errno not in FULL and error.filename is None:
            raise
        print(f"error: {_os_error_message(error)}", file=sys.stderr)
        return 2


def call(
    commands: Command | Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
) -> int:
    """Parse the command line and run the function; errors are left to the caller."""
    status = _cli(commands, module, examples, argv)
    return status if isinstance(status, int) else 0


def check(
    commands: Command | Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
) -> None:
    """Check that `run` could parse the command line, without running the function."""
    commands, module, argv = _select_verb(commands, module, argv)
    capture_parser(partial(_cli, commands, module, examples, argv)).parse_args(
        _arguments(commands, argv)
    )


def _cli(
    commands: Command | Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
) -> Any:
    commands, module, argv = _select_verb(commands, module, argv)
    return auto_cli(
        dict(commands) if isinstance(commands, Mapping) else commands,
        args=_arguments(commands, argv),
        prog=roiridge_command(module) or f"python -m {module}",
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=_Help,
        parser_class=_Parser,
    )


def _select_verb(
    commands: Command | Mapping[str, Command], module: str, argv: Sequence[str]
) -> tuple[Command | Mapping[str, Command], str, Sequence[str]]:
    """Return the command of a verb of `roiridge`, which has no verbs itself; else that verb alone.

    All commands are returned where none of them is named.
    """
    if not argv or not isinstance(commands, Mapping) or argv[0] not in commands:
        return commands, module, argv
    if roiridge_command(f"{module} {argv[0]}"):
        return commands[argv[0]], f"{module} {argv[0]}", argv[1:]
    return {argv[0]: commands[argv[0]]}, module, argv


def _arguments(commands: Command | Mapping[str, Command], argv: Sequence[str]) -> list[str]:
    functions = commands if isinstance(commands, Mapping) else {"": commands}
    options = {
        f"--{name}": parameter
        for function in functions.values()
        for name, parameter in signature(function).parameters.items()
    }
    lists = {o for o, p in options.items() if str(p.annotation).startswith("list[")}
    return _join_lists([_with_underscores(a, options) for a in argv], lists)


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help formatter that keeps each example on its line."""


class _Parser(ArgumentParser):
    """Parser whose error for an unknown flag names the nearest one."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        unknown = re.search(r"(?i)unrecognized arguments: (--[\w-]+)", message)
        super().error(
            message + (nearest(unknown[1], self._option_string_actions) if unknown else ""), ex
        )


def _os_error_message(error: OSError) -> str:
    if error.errno not in FULL:
        return (
            f"{error.filename}: {error.strerror}; expected a file or folder that can be used: "
            "check the path and its permissions"
        )
    context = f" (writing {error.filename})" if error.filename else ""
    return (
        f"the disk is full{context}: free some space, or give another folder with --out; "
        "what was finished is kept, run it again to go on"
    )


def _with_underscores(argument: str, options: Container[str]) -> str:
    # --train-images is accepted for --train_images.
    name, equals, value = argument.partition("=")
    renamed = "--" + name.removeprefix("--").replace("-", "_")
    return f"{renamed}{equals}{value}" if name.startswith("--") and renamed in options else argument


def _join_lists(arguments: Sequence[str], options: set[str]) -> list[str]:
    # `--spaces a b c` becomes the one list that jsonargparse reads; `--spaces=a b --spaces c` too.
    joined: list[str] = []
    lists: dict[str, list[str]] = {}
    collecting: list[str] | None = None
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in options:
            if name not in lists:
                joined.append(name)
            collecting = lists.setdefault(name, [])
            collecting.extend([value] if equals else [])
        elif collecting is not None and not argument.startswith("-"):
            collecting.append(argument)
        else:
            collecting = None
            joined.append(argument)
    return [f"{word}={_as_list(lists[word])}" if word in lists else word for word in joined]


def _as_list(words: Sequence[str]) -> str:
    is_list = len(words) == 1 and words[0].startswith("[")
    return words[0] if is_list else json.dumps(words)
