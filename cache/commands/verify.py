"""Verify every byte of stored files, reading a block at a time."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from base import run_hint
from cache.artifact import artifact_files
from cache.errors import CacheError, InUseError
from cache.feature_store import FeatureStore
from cache.feature_table import all_rows, read_table_meta, row_names
from cache.hdf5 import check_schema, get_json, reading

BLOCK_BYTES = 64 << 20
# Folders of artifacts in the output folder, with the command that repairs each, and its effect.
REPAIRS = {
    "fits": ("fit", "fits it again"),
    "moments": ("ablate", "forms it again"),
    "ablations": ("ablate", "fits it again"),
    "searches": ("fit", "begins the search anew"),
}
KINDS = tuple(REPAIRS)
HEXADECIMAL = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Verdict:
    """The result of verifying the file of a feature space."""

    path: Path
    faults: tuple[str, ...]  # each with the fix
    rows: int = 0  # 0 if the file could not be read
    columns: int = 0
    n_foreign: int | None = None  # rows of no picture of the dataset; None without a dataset


def verify_space(path: Path, pictures: Mapping[str, Path] | None = None) -> Verdict:
    """Verify the file of a feature space completely.

    It is a fault if a checksum is wrong, a value is not finite, a row is not named by one sha256 of
    its own, the file's name is not that of its key, or one of `pictures`, by sha256, has no row.
    """
    try:
        meta = read_table_meta(path)
        names = row_names(path)
        faults = [*_key_faults(path, meta), *_name_faults(names), *_row_faults(path, names)]
    except (CacheError, InUseError) as error:
        return Verdict(path, (str(error).removeprefix(f"{path}: "),))
    n_rows, n_columns = int(meta["rows"]), int(meta["columns"])
    if pictures is None:
        return Verdict(path, tuple(faults), n_rows, n_columns)
    stored_digests = {name.decode("ascii", "replace") for name in names}
    absent = [file for digest, file in pictures.items() if digest not in stored_digests]
    if absent:
        fix = "import a file with them, too"
        if "imported" not in meta.get("key", {}):
            fix = f"run `{run_hint('features', spaces=[meta.get('name')])}` for them"
        faults.append(
            f"{len(absent)} of {len(pictures)} pictures have no row (first: {absent[0]}): {fix}"
        )
    n_foreign = len(stored_digests.difference(pictures))
    return Verdict(path, tuple(faults), n_rows, n_columns, n_foreign)


def artifacts(out: Path) -> list[Path]:
    """Return the artifacts of all stages in an output folder, sorted."""
    return sorted(file for kind in KINDS for file in artifact_files(out / kind))


def verify_artifact(path: Path) -> str | None:
    """Read an artifact completely; return its fault, or None if it is valid."""
    kind = next(part for part in reversed(path.parts) if part in REPAIRS)
    try:
        target, effect = REPAIRS[kind]
        fix = f"no need to delete it, the next `{run_hint(target)}` {effect}"
        with reading(path, fix) as file:
            check_schema(file, path, "artifact")
            get_json(file, "meta")
            for array in file["arrays"].values():
                _read(array)
    except (CacheError, InUseError) as error:
        return str(error)
    return None


def _read(array: h5py.Dataset) -> None:
    """Read an array in blocks: HDF5 compares the checksum of each chunk."""
    if not array.shape:
        array[()]
        return
    row_bytes = max(1, array.dtype.itemsize * math.prod(array.shape[1:]))
    chunk = array.chunks[0] if array.chunks else 1
    step = max(1, BLOCK_BYTES // (row_bytes * chunk)) * chunk
    for start in range(0, array.shape[0], step):
        array[start : start + step]


def _key_faults(path: Path, meta: Mapping[str, Any]) -> list[str]:
    if not isinstance(meta.get("name"), str) or not isinstance(meta.get("key"), dict):
        return ["holds no name and key: delete it and extract again"]
    expected = FeatureStore(path.parent).path(meta["name"], meta["key"])
    if path == expected:
        return []
    return [f"belongs in {expected.name} by its key: it was renamed or altered; rename it back"]


def _name_faults(names: NDArray[np.bytes_]) -> list[str]:
    faults = []
    if not _are_digests(names):
        faults.append("some rows are not named by a sha256: delete it and extract again")
    n_duplicates = len(names) - len(np.unique(names))
    if n_duplicates:
        faults.append(
            f"{n_duplicates} rows are of pictures that have another row: extract it again"
        )
    return faults


def _are_digests(names: NDArray[np.bytes_]) -> bool:
    if names.dtype != np.dtype("S64"):
        return not len(names)
    return bool(np.isin(names.view(np.uint8), HEXADECIMAL).all())


def _row_faults(path: Path, names: Collection[bytes]) -> list[str]:
    count, n_bad = 0, 0
    for block in all_rows(path):
        if block.dtype.kind not in "fiu":
            return [f"holds {block.dtype}, expected numbers: delete it and extract again"]
        n_bad += int((~np.isfinite(block).all(axis=1)).sum())
        count += len(block)
    faults = []
    if n_bad:
        faults.append(f"{n_bad} rows have values that are not finite: delete it and extract again")
    if count != len(names):
        faults.append(f"{len(names)} pictures are named and {count} rows stored")
    return faults
