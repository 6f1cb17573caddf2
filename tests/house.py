"""`python -m tests.house`, or `make house`: print the figures of the structure of the code.

Product code is every package but tests and benchmarks. Each figure is measured, not stored.
"""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from graphlib import CycleError, TopologicalSorter
from io import StringIO
from pathlib import Path

import grimp

from tests.builders.paths import PACKAGES, ROOT
from tests.lint_names import REFUSED, bound_names

# Every folder has them; they are not looked for by name.
UNCOUNTED = {"__init__.py", "__main__.py", "errors.py"}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FORECAST = r"/plan/|/costs/|/cost\.py|/forecast/"
# Fits ridge in this process, and prints what it loaded and how deep its eigendecomposition lies.
FIT = """
import inspect, json, runpy, sys
import numpy as np
root, *words = sys.argv[1:]
solve, depths = np.linalg.eigh, []
def measure(*arguments, **options):
    frames = inspect.stack(context=0)
    ours = [f for f in frames if f.filename.startswith(root + "/regress/")]
    depths.append(sum("__main__" not in f.filename for f in ours))
    return solve(*arguments, **options)
np.linalg.eigh = measure
sys.argv = ["regress", *words]
try:
    runpy.run_module("regress", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
files = {str(getattr(module, "__file__", "")) for module in sys.modules.values()}
ours = [f for f in files if f.startswith(root) and not (".venv" in f or f.endswith("__init__.py"))]
heavy = [name for name in ("pytorch_lightning", "challenge.simulator") if name in sys.modules]
print(json.dumps({"modules": len(ours), "frames": max(depths), "heavy": heavy}))
"""


def product_files() -> list[Path]:
    """Return the files of product code.

    Returns
    -------
    list of Path
        All modules of all packages, in the order of their names.
    """
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def modules_by_folder(files: list[Path]) -> dict[Path, list[str]]:
    """Return the names of the modules in each folder."""
    folders: dict[Path, list[str]] = {}
    for file in files:
        if file.name not in UNCOUNTED:
            folders.setdefault(file.parent, []).append(file.name)
    return folders


def import_circle() -> list[str]:
    """Return modules that import one another in a circle; empty if there is none."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        return error.args[1]
    return []


def refused_share(trees: list[ast.Module]) -> float:
    """Return the share of bound names that are pronouns or participles, in percent."""
    names = [name for tree in trees for name, _ in bound_names(tree)]
    return 100 * sum(name.strip("_").lower() in REFUSED for name in names) / len(names)


def nested_share(trees: list[ast.Module]) -> float:
    """Return the share of comprehensions that lie in another comprehension, in percent."""
    found = [node for tree in trees for node in ast.walk(tree) if isinstance(node, COMPREHENSIONS)]
    inner = {
        id(node)
        for outer in found
        for node in ast.walk(outer)
        if node is not outer and isinstance(node, COMPREHENSIONS)
    }
    return 100 * len(inner) / len(found)


def code_lines(text: str) -> int:
    """Return the number of lines of code; docstrings, comments and blank lines are left out."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if ast.get_docstring(node) else None
            docstrings |= set(range(first.lineno, first.end_lineno + 1)) if first else set()
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(re.match(r"\s*[^#\s]", line)) and n not in docstrings for n, line in lines)


def public_names() -> Iterator[tuple[str, object]]:
    """Yield the dotted names and values of the public functions and classes of all packages."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{package}.{name}", value


def without_example() -> list[str]:
    """Return the public names whose docstring has no example; errors need none."""
    return [
        name
        for name, value in public_names()
        if ">>>" not in (inspect.getdoc(value) or "")
        and not (inspect.isclass(value) and issubclass(value, BaseException))
    ]


def ridge_fit() -> dict[str, int]:
    """Return the modules that a ridge fit loads, package faces aside, and its deepest frames."""
    from challenge.simulator import simulate
    from tests.builders.rates import write_space
    from tests.builders.small import SMALL

    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "data", Path(name) / "out"
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            simulate(data, **SMALL)
        write_space(out, data, "made", 12)
        words = ["--data", data, "--out", out, "--model", "ridge", "--spaces", "made"]
        command = [sys.executable, "-c", FIT, ROOT, *words, "--subject", "01", "--device", "cpu"]
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, check=True, capture_output=True, text=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def commands() -> list[str]:
    """Return every command: a module, and a verb if it has verbs."""
    from base.command_line.verbs import VERBS as ROIRIDGE
    from cache.__main__ import VERBS as CACHE
    from evaluate.__main__ import VERBS as EVALUATE
    from regress.__main__ import VERBS as REGRESS

    names = {command.module for verb in ROIRIDGE.values() for command in verb.commands}
    by_module = {"cache": CACHE, "evaluate": EVALUATE, "regress": REGRESS}
    for module, verbs in by_module.items():
        names |= {f"{module} {verb}" for verb in verbs}
    return sorted(names)


def help_times() -> dict[str, float]:
    """Return the seconds of `--help` of every command, after a first call of each."""
    times = {}
    for command in commands():
        words = [sys.executable, "-m", *command.split(), "--help"]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        start = time.perf_counter()
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        times[command] = time.perf_counter() - start
    return times


def main() -> None:
    """Print the figures."""
    files = product_files()
    trees = [ast.parse(file.read_text()) for file in files]
    texts = {file: file.read_text() for file in files}
    n_lines = {file: len(text.splitlines()) for file, text in texts.items()}
    n_code = sum(map(code_lines, texts.values()))
    fit, times, missing = ridge_fit(), help_times(), without_example()
    slowest = max(times, key=lambda name: times[name])
    n_public = sum(1 for _ in public_names())
    fullest = max(map(len, modules_by_folder(files).values()))
    n_plan = sum(n for file, n in n_lines.items() if re.search(FORECAST, str(file)))
    rows = {
        "modules in the fullest folder": f"{fullest} (at most 12)",
        "import circles": " -> ".join(import_circle()) or "0",
        "modules of this project that a ridge fit loads": f"{fit['modules']} (at most 70)",
        "frames in regress from command to eigendecomposition": f"{fit['frames']} (at most 12)",
        "names that are pronouns or participles": f"{refused_share(trees):.2f} % (under 0.5)",
        "lines of product code": f"{sum(n_lines.values())} (at most 38000)",
        "of them code, no docstrings or comments": f"{n_code} (at most 22000)",
        "lines of the forecast": f"{n_plan} (at most 1000)",
        "comprehensions in another": f"{nested_share(trees):.1f} % (under 3)",
        "public names with an example": f"{n_public - len(missing)} of {n_public}",
        "slowest --help": f"{times[slowest]:.2f} s, python -m {slowest} (under 1)",
    }
    for name, figure in rows.items():
        print(f"{name:<54} {figure}")


if __name__ == "__main__":
    main()
