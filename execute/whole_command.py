"""A whole command as one job: for stages whose work is not divided."""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from base import say
from base.command_line.parser import Command, call, check, report_errors
from execute.errors import ExecuteError
from execute.executor import ALONE, choose_executor, share
from execute.forecast.cost import Cost
from execute.forecast.planned_work import planned
from execute.forecast.rates import Rates
from execute.runs import Run
from execute.work import Work


@dataclass(frozen=True)
class Asked:
    """What a command asks for.

    Attributes
    ----------
    verb : str
        Its first word.
    data, out : Path
        The folders that it names, or those that it would take.
    subject : str
        Whom it names.
    """

    verb: str
    data: Path
    out: Path
    subject: str


def run_anywhere(
    commands: Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
    cost: Callable[[Asked, Rates], Cost | None],
) -> int:
    """Run a command here, or with `--executor slurm --cluster FILE` as a job of a cluster.

    Parameters
    ----------
    commands, module, examples
        As for `base.command_line.parser.run`.
    argv : sequence of str
        The arguments, with those two or without.
    cost : callable
        Says what a command takes, by measured rates; None where it is not worth a record.

    Returns
    -------
    int
        The exit status.
    """
    return report_errors(module, lambda: _run_anywhere(commands, module, examples, argv, cost))


def _run_anywhere(
    commands: Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
    cost: Callable[[Asked, Rates], Cost | None],
) -> int:
    own = ArgumentParser(add_help=False, allow_abbrev=False)
    for name, usual in USUAL.items():
        own.add_argument(f"--{name}", default=usual)
    given, _ = own.parse_known_args(argv)
    rest = _without(argv, ("--executor", "--cluster"))
    asked = Asked(rest[0] if rest else "", Path(given.data), Path(given.out), given.subject)
    cluster = Path(given.cluster) if given.cluster else None
    where = choose_executor(given.executor, cluster, module, asked.data)
    costs = planned(asked.out / "rates", lambda rates: _alone(cost(asked, rates)))
    if where.is_local and not costs:
        return call(commands, module, examples, rest)
    # A typing error is told here, and not by a job; nor is it kept for `make status`.
    check(commands, module, examples, rest)
    name = sha256("\0".join(rest).encode()).hexdigest()[:16]
    folder, label = asked.out / "runs" / f"{module}-{name}", " ".join(rest)
    this = Run(folder, module, label, sys.orig_argv, costs or None)
    if where.is_local:
        found: list[int] = []
        work: Work = partial(_here, partial(call, commands, module, examples, rest))
        share(where, ALONE, this, [[label]], work, lambda _, own: found.extend(own))
        return found[0]
    share(where, ALONE, this, [[label]], _Whole(module, rest), lambda _, said: say(said[0]))
    return 0


USUAL = {
    "executor": "local",
    "cluster": None,
    "data": "data",
    "out": "derivatives",
    "subject": "all",
}


def _alone(cost: Cost | None) -> list[list[Cost]]:
    return [[cost]] if cost is not None else []


def _here(command: Callable[[], int], _: int, units: Iterator[int]) -> int:
    status = 0
    for _unit in units:
        status = command()
    return status


def _without(argv: Sequence[str], names: Sequence[str]) -> list[str]:
    rest: list[str] = []
    skip = False
    for argument in argv:
        name, equals, _ = argument.partition("=")
        if skip:
            skip = False
        elif name in names:
            skip = not equals
        else:
            rest.append(argument)
    return rest


@dataclass(frozen=True)
class _Whole:
    """A command, which prints what the user wants to see."""

    module: str
    arguments: list[str]

    def __call__(self, _: int, units: Iterator[int]) -> str:
        for _unit in units:
            command = [sys.executable, "-m", self.module, *self.arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            print(done.stdout, done.stderr, sep="", flush=True)
            if done.returncode:
                errors = [o for o in done.stderr.splitlines() if o.startswith("error: ")]
                said = errors[-1].removeprefix("error: ") if errors else done.stderr[-2000:]
                raise ExecuteError(said)
        return done.stdout.rstrip()
