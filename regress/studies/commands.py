"""The command that does what a row of a study does."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What of a fit's arguments stands in `make fit`, and under which name.
VARIABLES = {
    "subject": "SUBJECT",
    "subjects": "SUBJECTS",
    "model": "MODEL",
    "spaces": "SPACES",
    "weights": "WEIGHTS",
    "group_by": "GROUP_BY",
    "params": "PARAMS",
    "start": "START",
    "images": "IMAGES",
    "device": "DEVICE",
    "data": "DATA",
    "out": "OUT",
}
USUAL = {
    "subject": "all",
    "group_by": "roi",
    "device": "auto",
    "data": Path("data"),
    "out": Path("derivatives"),
}


def make_command(target: str, arguments: Mapping[str, Any]) -> str:
    """Write the command that does what some arguments of `python -m regress` do.

    Parameters
    ----------
    target : str
        Of the Makefile.
    arguments : mapping
        By name.

    Returns
    -------
    str
        `make fit …`, without what is usual.
    """
    told = [
        f"{variable}={shlex.quote(_text(arguments[name]))}"
        for name, variable in VARIABLES.items()
        if arguments.get(name) and arguments[name] != USUAL.get(name)
    ]
    return " ".join([f"make {target}", *told])


def _text(value: Any) -> str:
    """Write a value as the command line reads it back."""
    if isinstance(value, dict):
        return " ".join(f"{name}={_plain(one)}" for name, one in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
