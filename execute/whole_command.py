"""Execution of a whole command as one job, for stages whose work is not divided."""

import re
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
from execute.forecast.rates import Rates, planned_costs
from execute.runs import Run
from execute.work import Work


@dataclass(frozen=True)
class CommandArguments:
    """The verb and the options of a command that an executor has to know."""

    verb: str
    data: Path
    out: Path
    subject: str


def run_anywhere(
    commands: Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
    cost: Callable[[CommandArguments, Rates], Cost | None],
) -> int:
    """Run a command here, or with `--executor slurm --cluster FILE` as a job of a cluster.

    The arguments are those of `base.command_line.parser.run`; `cost` returns the cost of a command
    by measured rates, or None where it is not worth a record. Return the exit status.
    """
    return report_errors(module, lambda: _run_anywhere(commands, module, examples, argv, cost))


def _run_anywhere(
    commands: Mapping[str, Command],
    module: str,
    examples: Sequence[str],
    argv: Sequence[str],
    cost: Callable[[CommandArguments, Rates], Cost | None],
) -> int:
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--cluster", type=lambda file: Path(file) if file else None)
    placement, rest = parser.parse_known_args(argv)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("derivatives"))
    parser.add_argument("--subject", default="all")
    options, _ = parser.parse_known_args(rest)
    verb = rest[0] if rest else ""
    arguments = CommandArguments(verb, options.data, options.out, options.subject)
    executor = choose_executor(placement.executor, placement.cluster, module, arguments.data)

    def unit_costs(rates: Rates) -> list[list[Cost]]:
        unit = cost(arguments, rates)
        return [] if unit is None else [[unit]]

    costs = planned_costs(arguments.out / "rates", unit_costs)
    if executor.is_local and not costs:
        return call(commands, module, examples, rest)
    # Report a typing error here, not in a job, and do not record it for `make status`.
    check(commands, module, examples, rest)
    name = sha256("\0".join(rest).encode()).hexdigest()[:16]
    folder, label = arguments.out / "runs" / f"{module}-{name}", " ".join(rest)
    run = Run(folder, module, label, sys.orig_argv, costs or None)
    if executor.is_local:
        statuses: list[int] = []
        work: Work = partial(_run_here, partial(call, commands, module, examples, rest))
        share(executor, ALONE, run, [[label]], work, lambda _, results: statuses.extend(results))
        return statuses[0]
    job = _CommandWork(module, rest)
    share(executor, ALONE, run, [[label]], job, lambda _, results: say(results[0]))
    return 0


def _run_here(command: Callable[[], int], _: int, units: Iterator[int]) -> int:
    status = 0
    for _unit in units:
        status = command()
    return status


@dataclass(frozen=True)
class _CommandWork:
    """A command as work, whose result is what it prints."""

    module: str
    arguments: list[str]

    def __call__(self, _: int, units: Iterator[int]) -> str:
        for _unit in units:
            command = [sys.executable, "-m", self.module, *self.arguments]
            process = subprocess.run(command, capture_output=True, text=True, check=False)
            print(process.stdout, process.stderr, sep="", flush=True)
            if process.returncode:
                errors = re.findall("^error: (.*)$", process.stderr, re.MULTILINE)
                raise ExecuteError(errors[-1] if errors else process.stderr[-2000:])
        return process.stdout.rstrip()
