"""Provenance of a result: versions, revision, command, time."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "himalaya",
    "h5py",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "pillow",
)


def provenance() -> dict[str, object]:
    """Return a description of the code and machine, enough to reproduce a result.

    Returns
    -------
    dict
        `created` (UTC), `command`, `revision` of this checkout (with "+changes" where files were
        modified), `python`, `machine`, and `versions` of the packages that compute.

    Examples
    --------
    >>> sorted(provenance())
    ['command', 'created', 'machine', 'python', 'revision', 'versions']
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]),
        "revision": _revision(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": _versions(),
    }


@cache
def _versions() -> dict[str, str]:
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return installed


@cache
def _revision() -> str:
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+changes"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return result.stdout.strip() if result.returncode == 0 else "unknown"
