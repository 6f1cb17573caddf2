"""Values of an ablation at every vertex: each space alone, and its unique part."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from base import run_hint
from cache import read_artifact, read_meta
from cache.records import AblationRecord, load_record
from evaluate.arrays import Floats
from evaluate.fits.up_to_date import changed_inputs


@dataclass(frozen=True)
class AblationValues:
    """The ablation of one hemisphere of one subject; arrays are (n_vertices,)."""

    alone: Mapping[str, Floats]  # Pearson's r of ridge on each space that was fitted alone
    unique: Mapping[str, Floats]  # R^2 of all spaces less that of all but one; may be negative
    split: str  # the pictures that were predicted: "test" or "heldout"


def ablation_files(out: Path, subject: str) -> list[Path]:
    """Return the files that `make ablate` wrote for a subject."""
    files = (out / "ablations" / f"subj{subject}").glob("*.h5")
    return sorted(file for file in files if not file.name.startswith("."))


def read_ablation(
    out: Path, subject: str, hemisphere: str, inputs: Mapping[str, str]
) -> AblationValues | None:
    """Read a hemisphere's ablation of the most spaces, the latest of several; None if none exists.

    Ablations of other data than those with the digests `inputs` are ignored.
    """
    files_by_group: dict[str, dict[tuple[str, ...], Path]] = defaultdict(dict)
    latest: dict[str, str] = defaultdict(str)
    for file in ablation_files(out, subject):
        if not file.name.startswith(f"{hemisphere}-"):
            continue
        record = load_record(AblationRecord, file, f"remove it, and run {run_hint('ablate')}")
        key = record["key"]
        if changed_inputs(key, inputs):
            continue
        # Subsets of one ablation share all of the key but the spaces.
        group = json.dumps({k: v for k, v in key.items() if k != "spaces"}, sort_keys=True)
        files_by_group[group][tuple(record["spaces"])] = file
        # When it was made, as the file itself records it.
        latest[group] = max(latest[group], str(record["provenance"].get("created", "")))
    if not files_by_group:
        return None
    best = max(
        files_by_group, key=lambda group: (max(map(len, files_by_group[group])), latest[group])
    )
    return _contributions(files_by_group[best])


def _contributions(files: Mapping[tuple[str, ...], Path]) -> AblationValues:
    whole = max(files, key=len)
    alone = {space: _read(files[space,], "pearson_r") for space in whole if (space,) in files}
    unique = {}
    for space in whole:
        without = tuple(name for name in whole if name != space)
        if without in files:
            unique[space] = _read(files[whole], "r2") - _read(files[without], "r2")
    # Ablations of earlier versions do not name their pictures, which were held out.
    split = read_meta(files[whole]).get("key", {}).get("split", "heldout")
    return AblationValues(alone, unique, split)


def _read(file: Path, name: str) -> Any:
    return read_artifact(file, (name,))[0][name].astype(np.float64)
