"""A whole command as one job: for stages whose work is not divided."""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from base import RoiridgeError, say
from base.command import Command, run
from execute.errors import ExecuteError
from execute.executor import ALONE, choose_executor, share
from execute.runs import Run


def run_anywhere(
    commands: Mapping[str, Command], module: str, examples: Sequence[str], argv: Sequence[str]
) -> int:
    """Run a command here, or with `--executor slurm --cluster FILE` as a job of a cluster.

    Parameters
    ----------
    commands, module, examples
        As for `base.command.run`.
    argv : sequence of str
        The arguments, with those two or without.

    Returns
    -------
    int
        The exit status.
    """
    own = ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--executor", default="local")
    own.add_argument("--cluster", type=Path, default=None)
    own.add_argument("--out", default="derivatives")
    asked, _ = own.parse_known_args(argv)
    rest = _without(argv, ("--executor", "--cluster"))
    try:
        where = choose_executor(asked.executor, asked.cluster, module)
        if where.is_local:
            return run(commands, module, examples, rest)
        name = sha256("\0".join(rest).encode()).hexdigest()[:16]
        folder = Path(asked.out) / "runs" / f"{module}-{name}"
        label = " ".join(rest)
        done = Run(folder, module, label, sys.orig_argv)
        share(where, ALONE, done, [[label]], _Whole(module, rest), lambda _, said: say(said[0]))
    except RoiridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: run it again to follow the job", file=sys.stderr)
        return 130
    return 0


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
