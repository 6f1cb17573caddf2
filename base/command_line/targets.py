"""The make targets as commands: which module each runs, and which flag each variable becomes.

The Makefile runs this file with every variable exported as ROIRIDGE_<name>, so that neither make
nor a shell ever expands a value. It imports only the standard library: make asks it for the nearest
name before anything is installed.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

PREFIX = "ROIRIDGE_"
# Set for a command that make runs, to the target.
CALLED_BY = f"{PREFIX}TARGET"
PYTHON = ".venv/bin/python"
EXAMPLE = "WEIGHTS='clip=\"my files/a.pt\" sam=b.pt'"


def split_names(value: str) -> list[str]:
    """Return the words of a list of names, which have no blanks."""
    return value.split()


def split_items(value: str) -> list[str]:
    """Return the items of `name=value name=value`, where a value may have blanks.

    Parameters
    ----------
    value : str
        An item begins at a word with "="; quotes are those of a shell, for values with "=" behind a
        blank.
    """
    items: list[str] = []
    for word in shlex.split(value):
        if items and "=" not in word:
            items[-1] += f" {word}"
        else:
            items.append(word)
    return items


def split_paths(value: str) -> list[str]:
    """Return the paths of a list: quoted as in a shell, or with blanks where such a file exists."""
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
        The parameter of the command that it gives.
    split : callable, optional
        Divides a value into the parameter's words; a single word by default.
    """

    parameter: str
    split: Callable[[str], list[str]] | None = None

    def words(self, value: str) -> list[str]:
        """Return the words of a value.

        Returns
        -------
        list of str
            One for each item, without the quotes of a shell where items may have blanks.
        """
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
# Used by recipes of the Makefile itself.
OTHERS = ("PYTHON", "JOBS")


@dataclass(frozen=True)
class Command:
    """A command that a target runs.

    Attributes
    ----------
    module : str
        What stands after `python -m`, with the verb.
    variables : tuple of str
        The variables that it takes.
    positional : str
        The one of them that is given without a flag, right after the verb.
    params : str
        What stands before the name of each item of PARAMS.
    """

    module: str
    variables: tuple[str, ...]
    positional: str = ""
    params: str = "params."

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return what stands after `python -m`.

        Parameters
        ----------
        values : mapping of str to str
            Values of variables by name; empty ones are left to the command.
        """
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
_WHERE = "EXECUTOR CLUSTER"
_CHOICE = "ENSEMBLE FITS ROI_CLASSES"
_FIT = "MODEL SPACES DEVICE GROUP_BY SUBJECTS START IMAGES PARAMS"
_STUDY = (
    _command("regress.study", f"STUDY {_INPUTS} DEVICE STAND_IN {_WHERE}", "STUDY"),
    _command("evaluate study", f"STUDY {_INPUTS} SPLIT {_WHERE}", "STUDY"),
)
TARGETS = {
    "plan": (_command("plan", f"{_INPUTS} {_FIT} WEIGHTS CAPTIONS MEMORY"),),
    "features": (_command("extract", f"{_INPUTS} SPACES DEVICE WEIGHTS CAPTIONS {_WHERE}"),),
    "fit": (_command("regress", f"{_INPUTS} {_FIT} NAME {_WHERE}"),),
    "ablate": (
        _command("regress.ablate", f"{_INPUTS} SPACES DEVICE SPLIT {_WHERE}"),
        _command("evaluate ablation", f"{_INPUTS} {_WHERE}"),
    ),
    "evaluate": (_command("evaluate scores", f"{_INPUTS} SPLIT {_CHOICE} {_WHERE}"),),
    "compare": (
        _command("evaluate compare", f"FITS {_INPUTS} SPLIT ENSEMBLE {_WHERE}", "FITS"),
    ),
    "compare-encoders": _STUDY,
    "compare-generative": _STUDY,
    "calibrate": (_command("evaluate calibrate", f"OUT {_WHERE}"),),
    "report": (_command("evaluate report", f"{_INPUTS} SPLIT {_CHOICE} {_WHERE}"),),
    "maps": (_command("evaluate maps", f"{_INPUTS} FITS"),),
    "positions": (_command("regress.show_positions", f"{_INPUTS} ROI PARAMS", params=""),),
    "submission": (_command("evaluate submission", f"{_INPUTS} {_CHOICE}"),),
    "score": (_command("evaluate score", "SUBMISSION DATA SUBJECT", "SUBMISSION"),),
    "check": (_command("challenge check", "DATA", "DATA"),),
    "status": (_command("execute", "OUT"),),
    "ls": (_command("cache ls", "OUT"),),
}  # fmt: skip


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question for the name that was meant, or nothing where none is near.

    Parameters
    ----------
    name : str
        What was given.
    names : iterable of str
        What there is.

    Returns
    -------
    str
        "; did you mean 'clip'?" or "".
    """
    by_lower = {one.lower(): one for one in names}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def _refuse(kind: str, names: Sequence[str], known: Sequence[str]) -> str:
    """Return the message for unknown targets or variables of make."""
    named = [name + nearest(name, known).replace("; did", ", did") for name in names]
    return f"unknown {kind} {' '.join(named)} (make help lists all)"


def _unused(target: str) -> str:
    """Return a warning about variables on make's command line that no goal takes."""
    goals = os.environ.get(f"{PREFIX}GOALS", "").split()
    if os.environ.get("MAKELEVEL") != "1" or goals[:1] != [target] or set(goals) - set(TARGETS):
        return ""
    taken = {name for goal in goals for command in TARGETS[goal] for name in command.variables}
    given = os.environ.get(f"{PREFIX}GIVEN", "").split()
    unused = [
        n
        for n in given
        if n in VARIABLES.keys() - taken and os.environ.get(f"{PREFIX}{n}", "").strip()
    ]
    return f"{', '.join(unused)}: not used by make {' '.join(goals)}\n" if unused else ""


def main(arguments: Sequence[str]) -> int:
    """Run a command of a target in place of this process, or refuse unknown names.

    Parameters
    ----------
    arguments : sequence of str
        `run TARGET NUMBER` or `print TARGET NUMBER`, by the exported variables; or
        `unknown KIND NAME ...` with the KIND "target" or "variable", and after -- what there is.

    Returns
    -------
    int
        The exit status: 2 for a value that cannot be read.
    """
    verb, name, *rest = arguments
    if verb == "unknown":
        split = rest.index("--")
        print(_refuse(name, rest[:split], rest[split + 1 :]))
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
            print(_unused(name), end="", file=sys.stderr)
        others = {n: v for n, v in os.environ.items() if not n.startswith(PREFIX)}
        os.execve(PYTHON, words, {**others, CALLED_BY: name})
    print(shlex.join(words))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
