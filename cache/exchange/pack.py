"""Pack feature spaces into one file with checksums, to share them: a zip without compression.

It holds the unchanged files of the spaces, and `manifest.json` with the sha256 and size of each.
The same spaces give the same file, byte for byte.
"""

import hashlib
import importlib.metadata
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from base import DocumentError, parse_json, replacing, sha256_files
from cache.commands.verify import verify_space
from cache.errors import CacheError
from cache.exchange.row_source import translate_errors
from cache.feature_store import Entry, FeatureStore
from cache.locking import holding, lock_path

SCHEMA = 1
KIND = "roiridge feature spaces"
MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 24
COPY_BYTES = 1 << 20
FIELDS = {"bytes": int, "file": str, "sha256": str}


def pack(entries: Sequence[Entry], path: Path) -> dict[str, Any]:
    """Write feature spaces to one file and return its manifest.

    The manifest has `kind`, `schema`, `roiridge` (the version) and `spaces`, each with `name`,
    `file`, `sha256`, `bytes`, `rows` and `columns`.
    """
    if path.suffix != ".zip":
        raise CacheError(f"{path}: expected a file to make, such as {path.name}.zip, as last word")
    if not entries:
        raise CacheError(f"{path}: no feature space named; for example `pack clip alexnet {path}`")
    if path.exists():
        raise CacheError(f"{path}: is there already; remove it, or give another name")
    unique_entries = list({entry.path: entry for entry in entries}.values())
    for entry in unique_entries:
        faults = verify_space(entry.path).faults
        if faults:
            raise CacheError(f"{entry.path}: {'; '.join(faults)}. Nothing was packed")
    manifest: dict[str, Any] = {"kind": KIND, "roiridge": _version(), "schema": SCHEMA}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        manifest["spaces"] = [_add(archive, entry) for entry in unique_entries]
        # ZipInfo without a date, so that the file does not depend on the time of packing.
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1, sort_keys=True))
    return manifest


def _version() -> str:
    try:
        return importlib.metadata.version("roiridge")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _add(archive: zipfile.ZipFile, entry: Entry) -> dict[str, Any]:
    fields = {name: entry.meta[name] for name in ("name", "rows", "columns")}
    # A writer may replace the file at any time; an opened file does not change.
    with (
        entry.path.open("rb") as file,
        archive.open(zipfile.ZipInfo(entry.path.name), "w", force_zip64=True) as member,
    ):
        size, sha256 = _copy(file, member)
    return {**fields, "file": entry.path.name, "bytes": size, "sha256": sha256}


def _copy(source: IO[bytes], target: IO[bytes]) -> tuple[int, str]:
    total, size = hashlib.sha256(), 0
    while part := source.read(COPY_BYTES):
        target.write(part)
        total.update(part)
        size += len(part)
    return size, total.hexdigest()


def unpack(path: Path, store: FeatureStore) -> dict[Path, bool]:
    """Add the feature spaces of a packed file to a store; return each file and whether it is new.

    All are copied to a hidden folder and verified there; only then are they renamed, one by one. A
    space that is stored already, with the same bytes, is left unchanged.
    """
    if not path.is_file():
        raise CacheError(f"{path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise CacheError(f"{path}: is not a packed file, or was cut short; copy it again")
    staging = store.folder / f".unpack-{uuid4().hex[:8]}"
    staging.mkdir(parents=True)
    try:
        with (
            translate_errors(path, "a whole file of `python -m cache pack`"),
            zipfile.ZipFile(path) as file,
        ):
            spaces = _read_manifest(path, file)
            for space in spaces:
                _extract(path, file, space, staging)
        for space in spaces:
            _is_present(path, space, store.folder / space["file"])
        return {
            store.folder / space["file"]: _publish(path, space, staging, store.folder)
            for space in spaces
        }
    finally:
        shutil.rmtree(staging)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    """Read the manifest, and check that the archive holds exactly the files that it names."""
    members = [info.filename for info in archive.infolist()]
    if MANIFEST not in members:
        raise CacheError(f"{path}: has no {MANIFEST}; expected a file of `python -m cache pack`")
    if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
        raise CacheError(
            f"{path}: its {MANIFEST} is implausibly large; expected a file of `cache pack`"
        )
    try:
        manifest = parse_json(archive.read(MANIFEST), f"{path}: its {MANIFEST}")
    except DocumentError as error:
        raise CacheError(f"{error}; expected a file of `python -m cache pack`") from error
    kind, schema = (manifest.get("kind"), manifest.get("schema"))
    if (kind, schema) != (KIND, SCHEMA):
        raise CacheError(
            f"{path}: holds {kind} with schema {schema}, expected {KIND} with schema {SCHEMA}; it "
            f"was packed by roiridge {manifest.get('roiridge')}: use that version"
        )
    spaces: list[dict[str, Any]] = manifest.get("spaces", [])
    for space in spaces:
        _check_manifest_entry(path, space)
    expected = [MANIFEST, *(space["file"] for space in spaces)]
    if sorted(members) != sorted(expected):
        differing = sorted({*members} ^ {*expected}) or ["a file twice"]
        raise CacheError(
            f"{path}: holds other files than its {MANIFEST} says ({', '.join(differing[:5])}); "
            "nothing was unpacked: ask for it again"
        )
    return spaces


def _check_manifest_entry(path: Path, space: object) -> None:
    if not isinstance(space, dict) or any(
        not isinstance(space.get(name), kind) for name, kind in FIELDS.items()
    ):
        raise CacheError(f"{path}: its {MANIFEST} lacks {', '.join(FIELDS)} of a space")
    file = space["file"]
    if Path(file).name != file or file.startswith(".") or not file.endswith(".h5"):
        raise CacheError(
            f"{path}: names a file {file!r}, expected <space>-<digest>.h5 without folders; nothing "
            "was unpacked: do not trust this file"
        )


def _extract(path: Path, archive: zipfile.ZipFile, space: Mapping[str, Any], staging: Path) -> None:
    info = archive.getinfo(space["file"])
    # A small compressed file could fill the disk.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != space["bytes"]:
        raise CacheError(
            f"{path}: {space['file']} has {info.file_size} bytes, expected {space['bytes']} "
            "without compression; nothing was unpacked: copy it again"
        )
    target = staging / space["file"]
    with archive.open(info) as member, target.open("wb") as file:
        _, sha256 = _copy(member, file)
    if sha256 != space["sha256"]:
        raise CacheError(
            f"{path}: {space['file']} has sha256 {sha256[:16]}…, expected {space['sha256'][:16]}…; "
            "nothing was unpacked: copy it again"
        )
    faults = verify_space(target).faults
    if faults:
        raise CacheError(f"{path}: {space['file']}: {'; '.join(faults)}. Nothing was unpacked")


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
