"""`python -m execute`: the progress of all runs, here and on a cluster."""

import sys
from pathlib import Path

from base import convert_paths, say
from base.command_line.parser import run
from execute.status import Progress, Unit, read_progress


@convert_paths
def status(out: Path = Path("derivatives"), every: bool = False) -> None:
    """Print what is done, running, waiting and failed, and what it took compared with the plan.

    Parameters
    ----------
    out : Path
        The output folder.
    every : bool
        true to list each unit of work, not only those that failed.
    """
    runs = read_progress(out)
    if not runs:
        say(f"{out}: no run was started yet")
    for progress in runs:
        for line in _lines(progress, every):
            say(line)


FAILED_STATES = ("failed", "lost", "interrupted")
# The largest number of units with the same fault that are listed by name.
MAX_NAMES = 4
ORDER = ("done", "running", "waiting", "not begun", *FAILED_STATES)


def _lines(progress: Progress, every: bool) -> list[str]:
    about, counts = progress.about, progress.counts
    waits = sorted({unit.reason for unit in progress.units if unit.state == "waiting"})
    notes = {"waiting": f" ({', '.join(waits)})"} if waits else {}
    states = ", ".join(f"{counts[s]} {s}{notes.get(s, '')}" for s in ORDER if counts[s])
    lines = [f"{about['stage']}  {about['label']}  (asked {about['asked']})", f"  {states}"]
    if any(unit.state == "done" for unit in progress.units):
        lines.append(f"  took {_total_cost(progress.units)}")
    for unit in progress.units if every else ():
        detail = _unit_cost(unit)
        if unit.state == "waiting":
            detail = f", {unit.reason} ({unit.location})"
        if unit.state not in FAILED_STATES:
            lines.append(f"  {unit.name}: {unit.state}{detail}")
    faults: dict[tuple[str, str], list[Unit]] = {}
    for unit in progress.units:
        if unit.state in FAILED_STATES:
            faults.setdefault((unit.state, unit.reason), []).append(unit)
    for (state, reason), units in faults.items():
        names = _join_few([unit.name for unit in units])
        locations = _join_few([unit.location for unit in units])
        lines.append(f"  {names}: {state}, {reason} ({locations})")
        lines += [f"    | {line}" for line in units[0].last_lines]
    if any(unit.state in FAILED_STATES for unit in progress.units):
        lines.append("  run the same command again: what is done is kept")
    return lines


def _join_few(words: list[str]) -> str:
    """Join words with commas; of many, only the first few and the number of the rest."""
    names = list(dict.fromkeys(word for word in words if word))
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest


def _total_cost(units: list[Unit]) -> str:
    """Return the total time and peak memory of the finished units, and what was planned."""
    finished = [unit for unit in units if unit.state == "done"]
    seconds = sum(unit.about["seconds"] for unit in finished)
    memory = max(unit.about["memory"] for unit in finished)
    line = f"{seconds:,.1f} s of work, at most {memory / 1e9:.2f} GB in a process"
    if not all(unit.planned for unit in finished):
        return line
    planned_seconds = sum(unit.planned["seconds"] for unit in finished)
    peak = max(unit.planned["memory"] for unit in finished)
    return f"{line}; planned {planned_seconds:,.1f} s, {peak / 1e9:.2f} GB"


def _unit_cost(unit: Unit) -> str:
    """Return the time of a finished unit and its plan; for another unit, the host if known."""
    if unit.state != "done":
        return f" on {unit.about['host']}" if "host" in unit.about else ""
    plan = f" (planned {unit.planned['seconds']:,.1f} s)" if unit.planned else ""
    return f", {unit.about['seconds']:,.1f} s{plan} on {unit.about['host']}"


EXAMPLES = ["python -m execute", "python -m execute --out derivatives --every true"]

if __name__ == "__main__":
    sys.exit(run(status, "execute", EXAMPLES))
