"""What `test_plan` shares with other tests."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cache import FeatureStore
from challenge import find_subjects
from execute.forecast.rates import PACKAGES, Rates

# As this project was once measured; the tests that are not about speed need no more.
KNOWN = {
    "basic work": {
        "float32": 1e11, "eigh 1024": 0.2, "memory": 5e9, "sha256": 1.5e9, "write": 1e9,
    },
    "start regress.fitting.request_checks torch": {"seconds": 3.0, "memory": 700e6},
    "start evaluate.report.write_report": {"seconds": 2.0, "memory": 230e6},
    "start extract.__main__ extract.pipeline.stage": {"seconds": 5.0, "memory": 900e6},
}  # fmt: skip


def write_rates(out: Path, host: str | None = None) -> Path:
    """Write rates as they are kept, of this machine or another."""
    of = Rates(out / "rates")
    path = of.path if host is None else of.path.with_name(f"{host}-8.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = {name: version(name) for name in PACKAGES}
    kept = {"date": "2026-01-01T00:00+00:00", "versions": versions, "rates": KNOWN}
    path.write_text(json.dumps(kept))
    return path


def write_space(out: Path, data: Path, name: str, columns: int) -> None:
    """Write random features of all pictures."""
    pictures = {
        digest
        for subject in find_subjects(data)
        for split in ("train", "test")
        for digest in subject.picture_digests(split)
    }
    rows = np.random.default_rng(0).standard_normal((len(pictures), columns), dtype=np.float32)
    with FeatureStore(out / "features").writer(name, {"of": name}, {"origin": "a test"}) as writer:
        writer.add(sorted(pictures), rows)
