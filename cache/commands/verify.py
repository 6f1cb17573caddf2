"""Read every byte that is kept, and say what is wrong with it; memory is flat, as of a block."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from base import run_hint
from cache.errors import CacheError, InUseError
from cache.feature_store import FeatureStore
from cache.feature_table import all_rows, read_table_meta, row_names
from cache.hdf5 import check_schema, get_json, reading

BLOCK_BYTES = 64 << 20
# Folders of artifacts beneath the folder of everything that is made, and what mends each.
MENDED = {
    "fits": ("fit", "fits it again"),
    "moments": ("ablate", "forms it again"),
    "ablations": ("ablate", "fits it again"),
    "searches": ("fit", "begins the search anew"),
}
KINDS = tuple(MENDED)
HEXADECIMAL = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Verdict:
    """What was found in the file of a feature space.

    Attributes
    ----------
    path : Path
        The file.
    faults : tuple of str
        What is wrong, each with the fix; empty where all is well.
    rows, columns : int
        The size; 0 where the file could not be read.
    lacking : int or None
        Pictures of the dataset without a row; None where no dataset was given.
    foreign : int or None
        Rows of no picture of the dataset; None where no dataset was given.
    """

    path: Path
    faults: tuple[str, ...]
    rows: int = 0
    columns: int = 0
    lacking: int | None = None
    foreign: int | None = None


def verify_space(path: Path, pictures: Mapping[str, Path] | None = None) -> Verdict:
    """Read the file of a feature space completely, and check all that can be checked.

    Parameters
    ----------
    path : Path
        The file.
    pictures : mapping of str to Path, optional
        Each picture of the dataset by the sha256 of its file.

    Returns
    -------
    Verdict
        With a fault where a checksum is wrong, a value is not finite, a row is not named by one
        sha256 of its own, the file's name is not that of its key, or a picture has no row.
    """
    try:
        meta = read_table_meta(path)
        names = row_names(path)
        faults = [*_of_key(path, meta), *_of_names(names), *_of_rows(path, names)]
    except (CacheError, InUseError) as error:
        return Verdict(path, (str(error).removeprefix(f"{path}: "),))
    size = {"rows": int(meta["rows"]), "columns": int(meta["columns"])}
    if pictures is None:
        return Verdict(path, tuple(faults), **size)
    there = {name.decode("ascii", "replace") for name in names}
    absent = [file for digest, file in pictures.items() if digest not in there]
    if absent:
        fix = "import a file with them, too"
        if "imported" not in meta.get("key", {}):
            fix = f"run `{run_hint('features', spaces=[meta.get('name')])}` for them"
        faults.append(
            f"{len(absent)} of {len(pictures)} pictures have no row (first: {absent[0]}): {fix}"
        )
    foreign = len(there.difference(pictures))
    return Verdict(path, tuple(faults), **size, lacking=len(absent), foreign=foreign)


def artifacts(out: Path) -> list[Path]:
    """List the artifacts of all stages.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.

    Returns
    -------
    list of Path
        Sorted; temporary files are left out.
    """
    found = (path for kind in KINDS for path in (out / kind).rglob("*.h5"))
    return sorted(path for path in found if not path.name.startswith("."))


def verify_artifact(path: Path) -> str | None:
    """Read an artifact completely.

    Parameters
    ----------
    path : Path
        The file, as `artifacts` lists it.

    Returns
    -------
    str or None
        What is wrong; None where all is well.
    """
    kind = next(part for part in reversed(path.parts) if part in MENDED)
    try:
        target, mended = MENDED[kind]
        fix = f"no need to delete it, the next `{run_hint(target)}` {mended}"
        with reading(path, fix) as opened:
            check_schema(opened, path, "artifact")
            get_json(opened, "meta")
            for array in opened["arrays"].values():
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


def _of_key(path: Path, meta: Mapping[str, Any]) -> list[str]:
    if not isinstance(meta.get("name"), str) or not isinstance(meta.get("key"), dict):
        return ["holds no name and key: delete it and extract again"]
    expected = FeatureStore(path.parent).path(meta["name"], meta["key"])
    if path == expected:
        return []
    return [f"belongs in {expected.name} by its key: it was renamed or altered; rename it back"]


def _of_names(names: NDArray[np.bytes_]) -> list[str]:
    faults = []
    if not _are_digests(names):
        faults.append("some rows are not named by a sha256: delete it and extract again")
    twice = len(names) - len(np.unique(names))
    if twice:
        faults.append(f"{twice} rows are of pictures that have another row: extract it again")
    return faults


def _are_digests(names: NDArray[np.bytes_]) -> bool:
    if names.dtype != np.dtype("S64"):
        return not len(names)
    return bool(np.isin(names.view(np.uint8), HEXADECIMAL).all())


def _of_rows(path: Path, names: Collection[bytes]) -> list[str]:
    count, bad = 0, 0
    for block in all_rows(path):
        if block.dtype.kind not in "fiu":
            return [f"holds {block.dtype}, expected numbers: delete it and extract again"]
        bad += int((~np.isfinite(block).all(axis=1)).sum())
        count += len(block)
    faults = []
    if bad:
        faults.append(f"{bad} rows have values that are not finite: delete it and extract again")
    if count != len(names):
        faults.append(f"{len(names)} pictures are named and {count} rows stored")
    return faults
