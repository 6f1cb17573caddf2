"""What may go: features that no fit uses, sums made of them, and what killed processes left.

A fit names the digests of its features, and files of moments and of ablations do too. A search that
was interrupted does not, and is left alone: running the fit again takes it up and then removes it.
"""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.artifact import read_meta
from cache.errors import CacheError
from cache.feature_store import Entry, FeatureStore
from cache.locking import holding, is_held, lock_of

# As `base.replacing` names what it has not finished, and `unpack` its folder.
TEMPORARY = re.compile(r"\.(?P<stem>.+)-[0-9a-f]{8}\.[A-Za-z0-9]+|\.unpack-[0-9a-f]{8}")
# So old, a file without a lock is not being written any more.
SECONDS = 3600
UNUSED = "features that no fit and no ablation uses"
IMPORTED = "imported, so roiridge cannot make it again; it stays, though no fit uses it"


@dataclass(frozen=True)
class Removal:
    """A file or folder that may go.

    Attributes
    ----------
    path : Path
        The file or folder.
    size : int
        Its bytes.
    reason : str
        Why, in words.
    """

    path: Path
    size: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """What may go, and what stays although it looks unused.

    Attributes
    ----------
    removals : tuple of Removal
        What may go.
    notes : tuple of str
        What stays, and why.
    """

    removals: tuple[Removal, ...]
    notes: tuple[str, ...]


def plan(out: Path) -> Plan:
    """Find what may go; nothing is changed.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.

    Returns
    -------
    Plan
        Without any fit, no feature space is in it: nothing is known of what is in use.
    """
    used = _used(out)
    entries = FeatureStore(out / "features").entries()
    unused = [] if used is None else [entry for entry in entries if entry.digest not in used]
    imported = [entry for entry in unused if "imported" in entry.meta["key"]]
    unused = [entry for entry in unused if entry not in imported]
    busy = [entry for entry in unused if is_held(lock_of(entry.path))]
    going = [entry for entry in unused if entry not in busy]
    notes = [f"{entry.path.stem}: is being written; it stays" for entry in busy]
    notes += [f"{entry.path.stem}: {IMPORTED}" for entry in imported]
    if used is None and entries:
        notes.append(f"{out / 'fits'}: no fits, so all {len(entries)} feature spaces stay")
    searches = sorted((out / "searches").glob("*/[!.]*.h5"))
    if searches:
        notes.append(f"{len(searches)} interrupted searches stay: fit again to take them up")
    removals = [_removal(entry.path, UNUSED) for entry in going]
    removals += _derived(out, [entry for entry in entries if entry not in going])
    shards, kept = _shards(out, used)
    going_folders = {removal.path for removal in shards}
    left = [one for one in _leftovers(out) if one.path.parent not in going_folders]
    return Plan((*removals, *shards, *left), (*notes, *kept))


def in_lines(plan: Plan, out: Path) -> list[str]:
    """Write a plan for reading.

    Parameters
    ----------
    plan : Plan
        The plan.
    out : Path
        The folder of everything that is made.

    Returns
    -------
    list of str
        A line for each feature space that may go, and for each folder and reason of other files;
        then what stays.
    """
    groups: dict[tuple[Path, str], list[Removal]] = {}
    for removal in plan.removals:
        alone = removal.reason == UNUSED or removal.path.suffix == ".shards"
        where = removal.path if alone else removal.path.parent
        groups.setdefault((where, removal.reason), []).append(removal)
    lines = []
    for (where, reason), group in groups.items():
        count = "" if where == group[0].path else f"{len(group)} x "
        size = sum(removal.size for removal in group) / 1e6
        lines.append(f"{size:9.1f} MB  {where.relative_to(out)}: {count}{reason}")
    return [*lines, *plan.notes]


def carry_out(plan: Plan) -> int:
    """Remove what a plan says; what a process began to write since then stays.

    Parameters
    ----------
    plan : Plan
        The plan.

    Returns
    -------
    int
        How many bytes were removed.
    """
    removed = 0
    for removal in plan.removals:
        path = removal.path
        lock = _lock(path)
        if lock is None or not lock.exists():
            removed += _remove(removal)
            continue
        with holding(lock, wait=False) as free:
            removed += _remove(removal) if free else 0
    return removed


def _remove(removal: Removal) -> int:
    if removal.path.is_dir():
        shutil.rmtree(removal.path)
    else:
        removal.path.unlink(missing_ok=True)
    return removal.size


def _lock(path: Path) -> Path | None:
    """Name the lock of whoever may be writing a file of the feature store; None elsewhere."""
    shard = path.parent.suffix == ".shards"
    folder = path.parent.parent if shard else path.parent
    if folder.name != "features" or path.name.startswith(".unpack-"):
        return None
    if shard:
        return lock_of(path.parent)
    match = TEMPORARY.fullmatch(path.name)
    return folder / f"{match['stem']}.lock" if match else lock_of(path)


def _used(out: Path) -> set[str] | None:
    """Give the digests of all features that fits and ablations use; None where there are none."""
    used: set[str] | None = None
    for path in _files(out / "fits"):
        try:
            meta = read_meta(path)
        except CacheError as error:
            raise CacheError(f"{error}. Nothing was removed: what it uses is not known") from error
        if meta.get("kind") == "shared":
            continue  # weights that the files of fits refer to, and go with them
        if meta.get("kind") != "fit" or not isinstance(meta.get("keys"), dict):
            raise CacheError(
                f"{path}: is not a fit, or does not say what features it was made from; expected "
                "a fit: remove it. Nothing was removed: what it uses is not known"
            )
        used = (used or set()) | {str(digest) for digest in meta["keys"].values()}
    for path in _files(out / "ablations"):
        try:
            spaces = read_meta(path).get("key", {}).get("spaces", [])
        except CacheError:
            continue  # it is fitted again, from features that a command will name
        used = (used or set()) | {str(space) for space in spaces}
    return used


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.h5") if not path.name.startswith("."))


def _derived(out: Path, kept: list[Entry]) -> Iterator[Removal]:
    """Give moments and ablations of features that are gone, or go."""
    kept_digests = {entry.digest for entry in kept}
    for kind in ("moments", "ablations"):
        for path in _files(out / kind):
            try:
                key = read_meta(path).get("key", {})
            except CacheError:
                yield _removal(path, f"{kind} that cannot be read: they would be formed again")
                continue
            if not kept_digests.issuperset(key.get("spaces", [key.get("space")])):
                yield _removal(path, f"{kind} of features that are gone or go")


def _shards(out: Path, used: set[str] | None) -> tuple[list[Removal], list[str]]:
    """Judge rows that were never merged: they stay where a fit uses their space."""
    removals, notes = [], []
    for folder in sorted((out / "features").glob("*.shards")):
        if is_held(lock_of(folder)):
            continue
        if not any(folder.glob("shard-*.h5")):
            removals.append(_removal(folder, "an empty folder of a killed extraction"))
        elif used is None or folder.stem[-16:] in used:
            notes.append(f"{folder}: rows of an interrupted extraction; run it again to take it up")
        else:
            removals.append(_removal(folder, "rows of an interrupted extraction, used by no fit"))
    return removals, notes


def _leftovers(out: Path) -> Iterator[Removal]:
    """Give temporary files of killed writers, and locks that nobody holds."""
    for path in sorted(out.rglob(".*")):
        if TEMPORARY.fullmatch(path.name) is None:
            continue
        lock = _lock(path)
        if time.time() - _touched(path) > SECONDS if lock is None else not is_held(lock):
            yield _removal(path, "left by a killed process")
    for lock in sorted((out / "features").glob("*.lock")):
        if not is_held(lock):
            yield _removal(lock, "lock that no process holds")


def _touched(path: Path) -> float:
    inside = path.iterdir() if path.is_dir() else ()
    return max(file.stat().st_mtime for file in (path, *inside))


def _removal(path: Path, reason: str) -> Removal:
    files = path.rglob("*") if path.is_dir() else [path]
    return Removal(path, sum(file.stat().st_size for file in files if file.is_file()), reason)
