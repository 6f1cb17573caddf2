"""The command line of every stage: flags and YAML from a function's signature, errors in words."""

import errno
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from jsonargparse import ArgumentParser, auto_cli

from base.errors import RoiridgeError

Command = Callable[..., int | None]


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
    module : str
        What stands after `python -m`.
    examples : sequence of str
        Command lines for the end of `--help`.
    argv : sequence of str, optional
        Arguments; those of this process by default.

    Returns
    -------
    int
        The exit status: 0, the command's own, 2 for bad input, 130 when interrupted.

    Raises
    ------
    OSError
        If it is not about a full disk, which is said in words.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    functions = commands if isinstance(commands, Mapping) else {"": commands}
    arguments = _join_lists(arguments, _list_options(functions))
    epilog = "examples: " + "; ".join(f"`{example}`" for example in examples)
    try:
        status = auto_cli(
            dict(commands) if isinstance(commands, Mapping) else commands,
            args=arguments,
            prog=f"python -m {module}",
            epilog=epilog,
            parser_class=ArgumentParser,
        )
    except RoiridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: what was finished is kept; run it again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(_disk_full(error), file=sys.stderr)
        return 2
    return int(status or 0)


def _disk_full(error: OSError) -> str:
    where = f" (writing {error.filename})" if error.filename else ""
    return (
        f"error: the disk is full{where}: free some space, or give another folder with --out; "
        "what was finished is kept, run it again to go on"
    )


def _list_options(functions: Mapping[str, Command]) -> set[str]:
    return {
        f"--{name}"
        for function in functions.values()
        for name, parameter in signature(function).parameters.items()
        if str(parameter.annotation).startswith("list[")
    }


def _join_lists(arguments: Sequence[str], options: set[str]) -> list[str]:
    # `--spaces a b c` becomes the one list that jsonargparse reads.
    joined: list[str] = []
    collecting: list[Any] | None = None
    option = ""
    for argument in [*arguments, "--"]:
        if collecting is not None and not argument.startswith("--"):
            collecting.append(argument)
            continue
        if collecting is not None:
            joined.append(f"{option}={json.dumps(collecting)}")
            collecting = None
        if argument in options:
            option, collecting = argument, []
        else:
            joined.append(argument)
    return joined[:-1]
