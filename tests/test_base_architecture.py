"""The packages that are imported are this checkout's, and the light ones stay light."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
