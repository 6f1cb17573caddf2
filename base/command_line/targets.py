"""The make targets as commands: the module that each runs, and the flag of each variable.

The Makefile runs this file with every variable exported as ROIRIDGE_<name>, so that neither make
nor a shell ever expands a value. It imports only the standard library, since make runs it before
anything is installed to suggest the nearest name.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

PREFIX = "ROIRIDGE_"
# The environment variable that holds the target in a command that make runs.
CALLED_BY = f"{PREFIX}TARGET"
PYTHON = ".venv/bin/python"
EXAMPLE = "WEIGHTS='clip=\"my files/a.pt\" sam=b.pt'"


def split_names(value: str) -> list[str]:
    """Return the words of a list of names, which have no blanks."""
    return value.split()


def split_items(value: str) -> list[str]:
    """Return the items of `name=value name=value`, where a value may have blanks.

    An item begins at each word with "="; values with "=" after a blank need quotes, as in a shell.
    """
    items: list[str] = []
    for word in shlex.split(value):
        if items and "=" not in word:
            items[-1] += f" {word}"
        else:
            items.append(word)
    return items


def split_paths(value: str) -> list[str]:
    """Return the paths in a text; one with blanks is quoted, or is the path of an existing file."""
    words, paths = shlex.split(value), list[str]()
    while words:
        joined = (" ".join(words[:n]) for n in range(len(words), 1, -1))
        path = next(filter(os.path.exists, joined), words[0])
        words = words[len(path.split(" ")) if path != words[0] else 1 :]
        paths.append(path)
    return paths


@dataclass(frozen=True)
class Variable:
    """A variable of make.

    Attributes
    ----------
    parameter : str
        The parameter of the command that it sets.
    split : callable, optional
        Splits the value into words; by default the value is one word.
    """

    parameter: str
    split: Callable[[str], list[str]] | None = None

    def words(self, value: str) -> list[str]:
        """Return the words of a value, one for each item, without the quotes of a shell."""
        try:
            return self.split(value) if self.split else [value]
        except ValueError as error:
            raise ValueError(f"{value!r}: {error}; expected quotes in pairs: {EXAMPLE}") from error


VARIABLES = {
    "SUBMISSION": Variable("submission"),
    "STUDY": Variable("study"),
    "SUBJECT": Variable("subject"),
    "SUBJECTS": Variable("subjects", split_names),
    "MODEL": Variable("model"),
    "SPACES": Variable("spaces", split_names),
    "WEIGHTS": Variable("weights", split_items),
    "CAPTIONS": Variable("captions", split_paths),
    "GROUP_BY": Variable("group_by"),
    "PARAMS": Variable("params", split_items),
    "START": Variable("start"),
    "IMAGES": Variable("images"),
    "NAME": Variable("name"),
    "MEMORY": Variable("memory"),
    "ROI": Variable("roi"),
    "FITS": Variable("fits", split_names),
    "VERTICES": Variable("vertices"),
    "FORMAT": Variable("format", split_names),
    "SPLIT": Variable("split"),
    "ENSEMBLE": Variable("ensemble"),
    "ROI_CLASSES": Variable("roi_classes", split_names),
    "STAND_IN": Variable("stand_in", split_items),
    "DEVICE": Variable("device"),
    "EXECUTOR": Variable("executor"),
    "CLUSTER": Variable("cluster"),
    "DATA": Variable("data"),
    "OUT": Variable("out"),
}
# Variables that recipes of the Makefile use themselves.
RECIPE_VARIABLES = ("PYTHON", "JOBS")


@dataclass(frozen=True)
class Command:
    """A command that a target runs.

    Attributes
    ----------
    module : str
        The module, and the verb if it has verbs.
    variables : tuple of str
        The make variables that it accepts.
    positional : str
        The variable whose value follows the verb without a flag.
    params : str
        The prefix of the flag for each item of PARAMS.
    """

    module: str
    variables: tuple[str, ...]
    positional: str = ""
    params: str = "params."

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return the words after `python -m`, by values of variables; empty values are left out."""
        words, flags = self.module.split(), list[str]()
        for name in self.variables:
            if not values.get(name):
                continue
            variable = VARIABLES[name]
            parts = variable.words(values[name])
            if name == self.positional:
                # A file may be called "-x".
                words += [f"./{part}" if part.startswith("-") else part for part in parts]
            elif name == "PARAMS":
                flags += [f"--{self.params}{part}" for part in parts]
            elif variable.split:
                flags += [f"--{variable.parameter}", *parts]
            else:
                flags.append(f"--{variable.parameter}={parts[0]}")
        return words + flags


def _command(module: str, variables: str, positional: str = "", params: str = "params.") -> Command:
    return Command(module, tuple(variables.split()), positional, params)


_INPUTS = "DATA OUT SUBJECT"
_EXECUTION = "EXECUTOR CLUSTER"
_CHOICE = "ENSEMBLE FITS ROI_CLASSES"
_FIT = "MODEL SPACES DEVICE GROUP_BY SUBJECTS START IMAGES PARAMS"
_STUDY = (
    _command("regress.study", f"STUDY {_INPUTS} DEVICE STAND_IN {_EXECUTION}", "STUDY"),
    _command("evaluate study", f"STUDY {_INPUTS} SPLIT {_EXECUTION}", "STUDY"),
)
TARGETS = {
    "plan": (_command("plan", f"{_INPUTS} {_FIT} WEIGHTS CAPTIONS MEMORY"),),
    "features": (_command("extract", f"{_INPUTS} SPACES DEVICE WEIGHTS CAPTIONS {_EXECUTION}"),),
    "fit": (_command("regress", f"{_INPUTS} {_FIT} NAME {_EXECUTION}"),),
    "ablate": (
        _command("regress.ablate", f"{_INPUTS} SPACES DEVICE SPLIT {_EXECUTION}"),
        _command("evaluate ablation", f"{_INPUTS} {_EXECUTION}"),
    ),
    "evaluate": (_command("evaluate scores", f"{_INPUTS} SPLIT {_CHOICE} {_EXECUTION}"),),
    "compare": (
        _command("evaluate compare", f"FITS {_INPUTS} SPLIT ENSEMBLE {_EXECUTION}", "FITS"),
    ),
    "compare-encoders": _STUDY,
    "compare-generative": _STUDY,
    "calibrate": (_command("evaluate calibrate", f"OUT {_EXECUTION}"),),
    "report": (_command("evaluate report", f"{_INPUTS} SPLIT {_CHOICE} {_EXECUTION}"),),
    "predict": (
        _command(
            "predict images",
            f"IMAGES {_INPUTS} FITS ROI VERTICES FORMAT NAME WEIGHTS DEVICE ENSEMBLE",
            "IMAGES",
        ),
    ),
    "explore": (_command("predict explore", f"{_INPUTS} FITS WEIGHTS DEVICE ENSEMBLE"),),
    "maps": (_command("evaluate maps", f"{_INPUTS} FITS FORMAT"),),
    "positions": (_command("regress.show_positions", f"{_INPUTS} ROI PARAMS", params=""),),
    "submission": (_command("evaluate submission", f"{_INPUTS} {_CHOICE}"),),
    "score": (_command("evaluate score", "SUBMISSION DATA SUBJECT", "SUBMISSION"),),
    "check": (_command("challenge check", "DATA", "DATA"),),
    "status": (_command("execute", "OUT"),),
    "ls": (_command("cache ls", "OUT"),),
}  # fmt: skip


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question that suggests the nearest of some names; empty if none is near.

    Parameters
    ----------
    name : str
        The unknown name.
    names : iterable of str
        The available names.

    Returns
    -------
    str
        The end of an error message.

    Examples
    --------
    >>> nearest("clop", ["clip", "sam"])
    "; did you mean 'clip'?"
    """
    by_lower = {choice.lower(): choice for choice in names}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def _unknown_names(kind: str, names: Sequence[str], choices: Sequence[str]) -> str:
    """Return the message for unknown targets or variables of make."""
    hints = [name + nearest(name, choices).replace("; did", ", did") for name in names]
    return f"unknown {kind} {' '.join(hints)} (make help lists all)"


def _unused_warning(target: str) -> str:
    """Return a warning about variables on make's command line that no goal takes."""
    goals = os.environ.get(f"{PREFIX}GOALS", "").split()
    if os.environ.get("MAKELEVEL") != "1" or goals[:1] != [target] or set(goals) - set(TARGETS):
        return ""
    accepted = {name for goal in goals for command in TARGETS[goal] for name in command.variables}
    assigned = os.environ.get(f"{PREFIX}GIVEN", "").split()
    unused = [
        n
        for n in assigned
        if n in VARIABLES.keys() - accepted and os.environ.get(f"{PREFIX}{n}", "").strip()
    ]
    return f"{', '.join(unused)}: not used by make {' '.join(goals)}\n" if unused else ""


def main(arguments: Sequence[str]) -> int:
    """Run a command of a target in place of this process, or refuse unknown names.

    Parameters
    ----------
    arguments : sequence of str
        `run TARGET NUMBER` or `print TARGET NUMBER`, which read the exported variables; or
        `unknown KIND NAME ... -- AVAILABLE ...` with the KIND "target" or "variable".

    Returns
    -------
    int
        The exit status: 2 for a value that cannot be read.
    """
    verb, name, *rest = arguments
    if verb == "unknown":
        split = rest.index("--")
        print(_unknown_names(name, rest[:split], rest[split + 1 :]))
        return 0
    number = int(rest[0]) if rest else 0
    values = {variable: os.environ.get(f"{PREFIX}{variable}", "").strip() for variable in VARIABLES}
    try:
        words = [PYTHON, "-m", *TARGETS[name][number].words(values)]
    except ValueError as error:
        print(f"error: make {name}: {error}", file=sys.stderr)
        return 2
    if verb == "run":
        if number == 0:
            print(_unused_warning(name), end="", file=sys.stderr)
        environment = {n: v for n, v in os.environ.items() if not n.startswith(PREFIX)}
        os.execve(PYTHON, words, {**environment, CALLED_BY: name})
    print(shlex.join(words))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
