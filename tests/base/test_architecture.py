"""The folders: what is imported is this checkout, light packages stay light, no room is crowded."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.builders.paths import PACKAGES, ROOT


@pytest.mark.parametrize(
    "name", ["base", "cache", "challenge", "networks", "extract", "regress", "evaluate"]
)
def test_packages_are_this_checkouts(name):
    found = Path(importlib.import_module(name).__file__).resolve()
    assert found == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", ["base", "cache", "challenge"])
def test_reading_needs_no_torch(name):
    heavy = "{'torch', 'torchvision', 'timm', 'open_clip', 'himalaya'}"
    code = f"import sys, {name}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


MOST_MODULES = 12
# Every package has them; they are not looked for by name.
UNCOUNTED = {"__init__.py", "__main__.py", "errors.py"}


def folders() -> list[Path]:
    """Return the folders of product code that hold modules."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return sorted({file.parent for file in files})


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_holds_at_most_12_modules(folder: Path) -> None:
    modules = sorted({file.name for file in folder.glob("*.py")} - UNCOUNTED)
    assert len(modules) <= MOST_MODULES, modules


def test_no_import_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    # Raises CycleError, which names the circle.
    list(TopologicalSorter(imports).static_order())


def test_the_dataset_is_read_without_the_simulator() -> None:
    code = "import sys, challenge; print([m for m in sys.modules if 'challenge.simulator' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_test_file_imports_another() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                last = str(node.module).rpartition(".")[2]
                assert not last.startswith("test_"), f"{file}: imports {node.module}"
