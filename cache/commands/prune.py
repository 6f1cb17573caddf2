"""Find and remove features that no fit uses, sums of such features, and files of killed processes.

Fits, moments and ablations name the digests of their features. An interrupted search does not, and
is never removed here: running the fit again continues it, and removes it at the end.
"""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from cache.artifact import artifact_files, read_meta
from cache.errors import CacheError
from cache.feature_store import Entry, FeatureStore
from cache.locking import holding, is_held, lock_path

# The names of unfinished files of `base.replacing`, and of the folder of `unpack`.
TEMPORARY = re.compile(r"\.(?P<stem>.+)-[0-9a-f]{8}\.[A-Za-z0-9]+|\.unpack-[0-9a-f]{8}")
# The age, in seconds, at which a file without a lock is not being written any more.
SECONDS = 3600
UNUSED = "features that no fit and no ablation uses"
IMPORTED = "imported, so roiridge cannot make it again; it stays, though no fit uses it"


class Removal(NamedTuple):
    """A file or folder to remove, its size in bytes, and the reason."""

    path: Path
    size: int
    reason: str


class Plan(NamedTuple):
    """Files to remove, and notes on files that stay although they look unused."""

    removals: tuple[Removal, ...]
    notes: tuple[str, ...]


def plan(out: Path) -> Plan:
    """Find the files to remove, without changing anything.

    Without any fit, no feature space is removed, since it is not known which ones are in use.
    """
    used_digests = _used_digests(out)
    entries = FeatureStore(out / "features").entries()
    removable, busy, imported = [], [], []
    for entry in entries:
        if used_digests is None or entry.digest in used_digests:
            continue
        if "imported" in entry.meta["key"]:
            imported.append(f"{entry.path.stem}: {IMPORTED}")
        elif is_held(lock_path(entry.path)):
            busy.append(f"{entry.path.stem}: is being written; it stays")
        else:
            removable.append(entry)
    notes = busy + imported
    if used_digests is None and entries:
        notes.append(f"{out / 'fits'}: no fits, so all {len(entries)} feature spaces stay")
    searches = sorted((out / "searches").glob("*/[!.]*.h5"))
    if searches:
        notes.append(f"{len(searches)} interrupted searches stay: fit again to take them up")
    removals = [_removal(entry.path, UNUSED) for entry in removable]
    removals += _derived(out, [entry for entry in entries if entry not in removable])
    shards, shard_notes = _shards(out, used_digests)
    removable_folders = {removal.path for removal in shards}
    leftovers = [file for file in _leftovers(out) if file.path.parent not in removable_folders]
    return Plan((*removals, *shards, *leftovers), (*notes, *shard_notes))


def format_plan(plan: Plan, out: Path) -> list[str]:
    """Return a line for each feature space and each folder of other files to remove, and notes."""
    groups: dict[tuple[Path, str], list[Removal]] = {}
    for removal in plan.removals:
        is_single = removal.reason == UNUSED or removal.path.suffix == ".shards"
        location = removal.path if is_single else removal.path.parent
        groups.setdefault((location, removal.reason), []).append(removal)
    lines = []
    for (location, reason), group in groups.items():
        count = "" if location == group[0].path else f"{len(group)} x "
        size = sum(removal.size for removal in group) / 1e6
        lines.append(f"{size:9.1f} MB  {location.relative_to(out)}: {count}{reason}")
    return [*lines, *plan.notes]


def carry_out(plan: Plan) -> int:
    """Remove the files of a plan, except those that are being written; return the bytes removed."""
    removed = 0
    for removal in plan.removals:
        path, lock = removal.path, _lock(removal.path)
        is_locked = lock is not None and lock.exists()
        with holding(lock, wait=False) if lock and is_locked else nullcontext(True) as is_free:
            if not is_free:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            removed += removal.size
    return removed


def _lock(path: Path) -> Path | None:
    """Return the lock of the process that may be writing a file; None outside the feature store."""
    shard = path.parent.suffix == ".shards"
    folder = path.parent.parent if shard else path.parent
    if folder.name != "features" or path.name.startswith(".unpack-"):
        return None
    if shard:
        return lock_path(path.parent)
    match = TEMPORARY.fullmatch(path.name)
    return folder / f"{match['stem']}.lock" if match else lock_path(path)


def _used_digests(out: Path) -> set[str] | None:
    """Return the digests of all features that fits and ablations use; None without any of these."""
    used_digests: set[str] | None = None
    for path in artifact_files(out / "fits"):
        try:
            meta = read_meta(path)
        except CacheError as error:
            raise CacheError(f"{error}. Nothing was removed: what it uses is not known") from error
        if meta.get("kind") == "shared":
            continue  # weights that the files of fits refer to
        if meta.get("kind") != "fit" or not isinstance(meta.get("keys"), dict):
            raise CacheError(
                f"{path}: is not a fit, or does not say what features it was made from; expected "
                "a fit: remove it. Nothing was removed: what it uses is not known"
            )
        used_digests = (used_digests or set()) | {str(digest) for digest in meta["keys"].values()}
    for path in artifact_files(out / "ablations"):
        try:
            spaces = read_meta(path).get("key", {}).get("spaces", [])
        except CacheError:
            continue  # a damaged ablation is fitted again, from features that a command names
        used_digests = (used_digests or set()) | {str(space) for space in spaces}
    return used_digests


def _derived(out: Path, remaining: list[Entry]) -> Iterator[Removal]:
    """Yield moments and ablations of features that do not remain."""
    remaining_digests = {entry.digest for entry in remaining}
    for kind in ("moments", "ablations"):
        for path in artifact_files(out / kind):
            try:
                key = read_meta(path).get("key", {})
            except CacheError:
                yield _removal(path, f"{kind} that cannot be read: they would be formed again")
                continue
            if not remaining_digests.issuperset(key.get("spaces", [key.get("space")])):
                yield _removal(path, f"{kind} of features that are gone or go")


def _shards(out: Path, used_digests: set[str] | None) -> tuple[list[Removal], list[str]]:
    """Find shards of interrupted extractions; they stay if a fit uses their space."""
    removals, notes = [], []
    for folder in sorted((out / "features").glob("*.shards")):
        if is_held(lock_path(folder)):
            continue
        if not any(folder.glob("shard-*.h5")):
            removals.append(_removal(folder, "an empty folder of a killed extraction"))
        elif used_digests is None or folder.stem[-16:] in used_digests:
            notes.append(f"{folder}: rows of an interrupted extraction; run it again to take it up")
        else:
            removals.append(_removal(folder, "rows of an interrupted extraction, used by no fit"))
    return removals, notes


def _leftovers(out: Path) -> Iterator[Removal]:
    """Yield temporary files of killed writers, and locks that no process holds."""
    for path in sorted(out.rglob(".*")):
        if TEMPORARY.fullmatch(path.name) is None:
            continue
        lock = _lock(path)
        if time.time() - _last_modified(path) > SECONDS if lock is None else not is_held(lock):
            yield _removal(path, "left by a killed process")
    for lock in sorted((out / "features").glob("*.lock")):
        if not is_held(lock):
            yield _removal(lock, "lock that no process holds")


def _last_modified(path: Path) -> float:
    contents = path.iterdir() if path.is_dir() else ()
    return max(file.stat().st_mtime for file in (path, *contents))


def _removal(path: Path, reason: str) -> Removal:
    files = path.rglob("*") if path.is_dir() else [path]
    return Removal(path, sum(file.stat().st_size for file in files if file.is_file()), reason)
