"""Pack feature spaces into one archive, and add those of an archive to a store."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from base import replacing, sha256_files
from cache.commands.verify import verify_space
from cache.errors import CacheError
from cache.exchange.archive import Kind, extract_archive, write_archive
from cache.feature_store import Entry, FeatureStore
from cache.locking import holding, lock_path

SPACES = Kind(
    "roiridge feature spaces",
    files="spaces",
    maker="python -m cache pack",
    layout="<space>-<digest>.h5 without folders",
)


def pack(entries: Sequence[Entry], path: Path) -> dict[str, Any]:
    """Write feature spaces to one file and return its manifest.

    The manifest has `kind`, `schema`, `roiridge` (the version) and `spaces`, each with `name`,
    `file`, `sha256`, `bytes`, `rows` and `columns`.
    """
    if not entries:
        raise CacheError(f"{path}: no feature space named; for example `pack clip alexnet {path}`")
    unique_entries = list({entry.path: entry for entry in entries}.values())
    for entry in unique_entries:
        faults = verify_space(entry.path).faults
        if faults:
            raise CacheError(f"{entry.path}: {'; '.join(faults)}. Nothing was packed")
    fields = ("name", "rows", "columns")
    members = [
        (e.path.name, e.path, {name: e.meta[name] for name in fields}) for e in unique_entries
    ]
    return write_archive(path, SPACES, members)


def unpack(path: Path, store: FeatureStore) -> dict[Path, bool]:
    """Add the feature spaces of a packed file to a store; return each file and whether it is new.

    All are copied to a hidden folder and verified there; only then are they renamed, one by one. A
    space that is stored already, with the same bytes, is left unchanged.
    """
    staging = store.folder / f".unpack-{uuid4().hex[:8]}"
    is_new = not store.folder.exists()
    staging.mkdir(parents=True)
    try:
        manifest = extract_archive(path, SPACES, staging, lambda file: verify_space(file).faults)
        spaces = manifest["spaces"]
        for space in spaces:
            _is_present(path, space, store.folder / space["file"])
        return {
            store.folder / space["file"]: _publish(path, space, staging, store.folder)
            for space in spaces
        }
    finally:
        shutil.rmtree(staging)
        if is_new and not any(store.folder.iterdir()):
            store.folder.rmdir()


def _is_present(path: Path, space: Mapping[str, Any], target: Path) -> bool:
    """Return whether a space is stored with the same bytes; raise an error if its bytes differ."""
    if not target.exists():
        return False
    if sha256_files([target]) == [space["sha256"]]:
        return True
    raise CacheError(
        f"{target}: is there already, and {path} holds another file of this name (other pictures, "
        "or computed at another time): unpack it with another --out, or remove yours"
    )


def _publish(path: Path, space: Mapping[str, Any], staging: Path, folder: Path) -> bool:
    target = folder / space["file"]
    with holding(lock_path(target)):
        if _is_present(path, space, target):
            return False
        with replacing(target) as temporary:
            (staging / space["file"]).rename(temporary)
    return True
