"""`python -m challenge`: simulate a dataset, or check one."""

import sys
from functools import wraps
from pathlib import Path
from typing import Any

from base import convert_paths, plural, say
from base.command_line.parser import run
from challenge.checks.dataset import inspect, summarise
from challenge.dataset import find_subjects
from challenge.simulator import dataset as simulator


@wraps(simulator.simulate)
def simulate(directory: Path, **settings: Any) -> int:
    """Write a simulated dataset; its options and their description are those of the simulator."""
    try:
        simulator.simulate(directory, **settings)
    except KeyboardInterrupt:
        # Unlike other commands, this one writes all or nothing.
        print(f"\ninterrupted: nothing was written to {directory}", file=sys.stderr)
        return 130
    return 0


@convert_paths
def check(directory: Path) -> int:
    """Read every file of a dataset, and list all faults at once.

    Parameters
    ----------
    directory : Path
        The folder that holds subj01, subj02 and so on.

    Returns
    -------
    int
        0 for a valid dataset, 1 with any fault.
    """
    subjects = find_subjects(directory)
    findings = inspect(subjects)
    faults = list(findings.faults)
    if not faults:
        say(summarise(subjects))
    for remark in findings.remarks:
        say(f"note: {remark}")
    if not faults:
        say(f"{directory}: no faults")
        return 0
    for fault in faults:
        say(fault)
    say(f"{directory}: {plural(len(faults), 'fault')}")
    return 1


EXAMPLES = [
    "python -m challenge simulate data/simulated --subjects 2 --train-images 300 "
    "--test-images 60 --vertices 400 --seed 0",
    "python -m challenge check data/simulated",
]

if __name__ == "__main__":
    sys.exit(run({"simulate": simulate, "check": check}, "challenge", EXAMPLES))
