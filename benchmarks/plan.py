"""What `make plan` says beside what is then taken: every stage of the demo, and the full size.

`python -m benchmarks.plan` simulates the demo's data and runs its commands, each in a process of
its own, after asking each stage's `cost` what it would take; then the same for ridge on subject 1
of the challenge at full size, 512 and 2048 columns (`--demo-only` leaves these out: they take
minutes and 7 GB). Beside the time on the clock stands that of the processor: on a machine that
others use the clock says more about them. Nothing is kept but the printed figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from benchmarks.full_size import _write_features as write_features
from cache import FeatureStore
from challenge import find_subjects
from challenge.simulator import simulate
from evaluate.cost import evaluate_costs
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from extract.cost import IMPORTS, extract_costs, plan_space
from regress.ablation.subsets import list_subsets
from regress.cost import ablate_costs, fit_costs, start_cost
from regress.data.design import find_spaces
from regress.fit_options import FitOptions
from regress.fitting.request_checks import make_request

BOTH = ["alexnet", "efficientnet_lite0"]
FITS = (("ridge", BOTH[:1]), ("ridge", BOTH[1:]), ("ridge", BOTH), ("banded_ridge", BOTH))
# A process begins with the peak of the one that it was forked from: this one is small.
TIMED = """
import json, os, sys, time
began = time.perf_counter()
pid = os.fork()
if not pid:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1), os.dup2(nowhere, 2)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
_, status, used = os.wait4(pid, 0)
print(json.dumps({"clock": time.perf_counter() - began, "status": status,
                  "processor": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}))
"""
LINE = "{:<34}{:>9}{:>9}{:>9}{:>7}{:>11}{:>10}{:>7}"


def main() -> None:
    """Plan and run each, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo-only", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder otherwise")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        rates = demo(folder / "demo", folder / "derivatives")
        if not arguments.demo_only:
            for columns in (512, 2048):
                full(folder / "full", folder / f"out{columns}", columns, rates)


def demo(data: Path, out: Path) -> Rates:
    """Do what `make demo` does; return the rates that a plan of it measured."""
    quietly(lambda: simulate(data, 2, 300, 60, 400, 0, "builtin"))
    subjects, store = find_subjects(data), FeatureStore(out / "features")
    where = ["--data", str(data), "--out", str(out)]
    # Measured by a process that has imported little.
    command = [sys.executable, "-m", "plan", *where, "--spaces", *BOTH]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rates = Rates(out / "rates")
    print(rates.origin)
    print(LINE.format("", "planned", "clock", "proc.", "ratio", "planned", "peak", "ratio"))
    planned = [plan_space(name, store, subjects, "float32") for name in BOTH]
    cost = rates.start(*IMPORTS) + extract_costs(planned, subjects, rates)[1]
    compare("features", cost, ["extract", *where, "--spaces", *BOTH])
    for model, spaces in FITS:
        fit(data, out, model, spaces, rates)
    entries = find_spaces(store, BOTH)
    units = ablate_costs(subjects, entries, list_subsets(BOTH, []), rates)
    cost = start_cost(rates) + sum(units, Cost())
    compare("ablate", cost, ["regress.ablate", *where, "--spaces", *BOTH])
    costs = evaluate_costs(subjects, len(FITS), len(BOTH), rates)
    for verb in ("submission", "report"):
        compare(verb, costs[verb], ["evaluate", verb, *where])
    return rates


def full(data: Path, out: Path, columns: int, rates: Rates) -> None:
    """Fit subject 1 of the challenge."""
    if not data.exists():
        quietly(lambda: simulate(data, 1, 9841, 159, [19004, 20544], 0, "builtin", 64))
    write_features(data, out, columns)
    fit(data, out, "ridge", ["random"], rates, f", {columns} columns")


def fit(
    data: Path, out: Path, model: str, spaces: Sequence[str], rates: Rates, more: str = ""
) -> None:
    """Plan a fit, and do it."""
    asked = make_request(FitOptions(data, out, model=model, spaces=list(spaces)))
    units = [one for own in fit_costs(asked, rates) for one in own]
    cost = start_cost(rates) + sum(units, Cost())
    where = ["--data", str(data), "--out", str(out), "--model", model, "--spaces", *spaces]
    name = "both" if list(spaces) == BOTH else " ".join(spaces)
    compare(f"fit {model}, {name}{more}", cost, ["regress", *where])


def compare(name: str, planned: Cost, command: Sequence[str]) -> None:
    """Run a command, and print a line of what it took beside its plan."""
    given = [sys.executable, "-c", TIMED, *command]
    found = json.loads(subprocess.run(given, check=True, capture_output=True).stdout)
    if found["status"]:
        raise SystemExit(f"{' '.join(command)}: ended with {found['status']}")
    clock, peak = found["clock"], found["peak"]
    print(
        LINE.format(
            name,
            f"{planned.seconds:.1f} s",
            f"{clock:.1f} s",
            f"{found['processor']:.1f} s",
            f"{planned.seconds / clock:.2f}",
            f"{planned.memory / 1e6:.0f} MB",
            f"{peak / 1e6:.0f} MB",
            f"{planned.memory / peak:.2f}",
        ),
        flush=True,
    )


def quietly(work: Callable[[], object]) -> None:
    """Do something without its progress."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):
        work()


if __name__ == "__main__":
    main()
