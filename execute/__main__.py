"""`python -m execute`: how far the work is, here and on a cluster."""

import sys
from pathlib import Path

from base import convert_paths, say
from base.command_line.parser import run
from execute.status import Progress, Unit, read_progress


@convert_paths
def status(out: Path = Path("derivatives"), every: bool = False) -> None:
    """Say what is done, running, waiting and failed, and what it took beside the plan.

    Parameters
    ----------
    out : Path
        The output folder.
    every : bool
        true to list each unit of work, not only those that failed.
    """
    found = read_progress(out)
    if not found:
        say(f"{out}: nothing was asked for yet")
    for progress in found:
        for line in _lines(progress, every):
            say(line)


BAD = ("failed", "lost", "interrupted")
# So many units that share a fault are named.
FEW = 4
ORDER = ("done", "running", "waiting", "not begun", *BAD)


def _lines(progress: Progress, every: bool) -> list[str]:
    about, counts = progress.about, progress.counts
    waits = sorted({unit.reason for unit in progress.units if unit.state == "waiting"})
    why = {"waiting": f" ({', '.join(waits)})"} if waits else {}
    states = ", ".join(f"{counts[s]} {s}{why.get(s, '')}" for s in ORDER if counts[s])
    lines = [f"{about['stage']}  {about['label']}  (asked {about['asked']})", f"  {states}"]
    if any(unit.state == "done" for unit in progress.units):
        lines.append(f"  took {_taken(progress.units)}")
    for unit in progress.units if every else ():
        told = f", {unit.reason} ({unit.where})" if unit.state == "waiting" else _took(unit)
        lines += [f"  {unit.name}: {unit.state}{told}"] if unit.state not in BAD else []
    faults: dict[tuple[str, str], list[Unit]] = {}
    for unit in progress.units:
        if unit.state in BAD:
            faults.setdefault((unit.state, unit.reason), []).append(unit)
    for (state, reason), units in faults.items():
        names, places = ([getattr(u, what) for u in units] for what in ("name", "where"))
        lines.append(f"  {_few(names)}: {state}, {reason} ({_few(places)})")
        lines += [f"    | {line}" for line in units[0].last_lines]
    if any(unit.state in BAD for unit in progress.units):
        lines.append("  run the same command again: what is done is kept")
    return lines


def _few(words: list[str]) -> str:
    """Join words; of many the first."""
    known = list(dict.fromkeys(word for word in words if word))
    more = f" and {len(known) - FEW} more" if len(known) > FEW else ""
    return ", ".join(known[:FEW]) + more


def _taken(units: list[Unit]) -> str:
    """Sum what was done, beside what was planned for it."""
    done = [unit for unit in units if unit.state == "done"]
    seconds = sum(unit.about["seconds"] for unit in done)
    memory = max(unit.about["memory"] for unit in done)
    taken = f"{seconds:,.1f} s of work, at most {memory / 1e9:.2f} GB in a process"
    if not all(unit.planned for unit in done):
        return taken
    planned = sum(unit.planned["seconds"] for unit in done)
    most = max(unit.planned["memory"] for unit in done)
    return f"{taken}; planned {planned:,.1f} s, {most / 1e9:.2f} GB"


def _took(unit: Unit) -> str:
    if unit.state != "done":
        return f" on {unit.about['host']}" if "host" in unit.about else ""
    plan = f" (planned {unit.planned['seconds']:,.1f} s)" if unit.planned else ""
    return f", {unit.about['seconds']:,.1f} s{plan} on {unit.about['host']}"


EXAMPLES = ["python -m execute", "python -m execute --out derivatives --every true"]

if __name__ == "__main__":
    sys.exit(run(status, "execute", EXAMPLES))
