"""The folders: what is imported is this checkout, light packages stay light, no room is crowded."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.paths import ROOT
from tests.house import import_circle, modules_by_folder, product_files, ridge_fit


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


def test_no_folder_is_crowded() -> None:
    modules = modules_by_folder(product_files())
    crowded = {str(folder): names for folder, names in modules.items() if len(names) > 12}
    assert crowded == {}


def test_no_import_circle() -> None:
    assert import_circle() == []


@pytest.mark.slow
def test_a_ridge_fit_is_light() -> None:
    figures = ridge_fit()
    assert figures["heavy"] == []
    assert figures["modules"] <= 70
    assert figures["frames"] <= 12


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
