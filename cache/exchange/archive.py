"""Archives of files with checksums, to share them: a zip without compression.

An archive holds unchanged files, and `manifest.json` with the sha256 and size of each. The same
files give the same archive, byte for byte. Nothing of an archive is used before all of it was
verified; it is never unpickled.
"""

import hashlib
import importlib.metadata
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from base import DocumentError, parse_json, replacing
from cache.errors import CacheError
from cache.exchange.row_source import translate_errors

SCHEMA = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 24
COPY_BYTES = 1 << 20
FIELDS = {"bytes": int, "file": str, "sha256": str}
# The path in the archive, the file, and further fields of its entry in the manifest.
Member = tuple[str, Path, Mapping[str, Any]]
STEP = re.compile(r"[A-Za-z0-9_+\-][A-Za-z0-9_.+\-]*")


@dataclass(frozen=True)
class Kind:
    """A kind of archive.

    Attributes
    ----------
    name : str
        What it holds, as its manifest says.
    files : str
        The field of the manifest that lists the files.
    maker : str
        The command that writes it.
    layout : str
        What its files are called, for errors.
    suffixes : tuple of str
        The suffixes that its files may have.
    depth : int
        The number of steps that a path in it may have, 1 for no folders.
    """

    name: str
    files: str
    maker: str
    layout: str
    suffixes: tuple[str, ...] = (".h5",)
    depth: int = 1

    def accepts(self, file: str) -> bool:
        """Return whether a path is one that the maker would write."""
        steps = file.split("/")
        return (
            len(steps) <= self.depth
            and all(STEP.fullmatch(step) for step in steps)
            and PurePosixPath(file).suffix in self.suffixes
        )


def write_archive(
    path: Path,
    kind: Kind,
    members: Iterable[Member],
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write files to an archive and return its manifest.

    `about` is further fields of the manifest.
    """
    if path.suffix != ".zip":
        raise CacheError(f"{path}: expected a file to make, such as {path.name}.zip, as last word")
    if path.exists():
        raise CacheError(f"{path}: is there already; remove it, or give another name")
    manifest: dict[str, Any] = {"kind": kind.name, "roiridge": _version(), "schema": SCHEMA}
    manifest |= about or {}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        manifest[kind.files] = [_add(archive, *member) for member in members]
        # ZipInfo without a date, so that the file does not depend on the time of packing.
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1, sort_keys=True))
    return manifest


def _version() -> str:
    try:
        return importlib.metadata.version("roiridge")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _add(
    archive: zipfile.ZipFile, name: str, path: Path, fields: Mapping[str, Any]
) -> dict[str, Any]:
    # A writer may replace the file at any time; an opened file does not change.
    with (
        path.open("rb") as file,
        archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member,
    ):
        size, sha256 = _copy(file, member)
    return {**fields, "file": name, "bytes": size, "sha256": sha256}


def _copy(source: IO[bytes], target: IO[bytes]) -> tuple[int, str]:
    total, size = hashlib.sha256(), 0
    while part := source.read(COPY_BYTES):
        target.write(part)
        total.update(part)
        size += len(part)
    return size, total.hexdigest()


def extract_archive(
    path: Path, kind: Kind, folder: Path, verify: Callable[[Path], Iterable[str]]
) -> dict[str, Any]:
    """Extract all files of an archive to an empty folder, verify them, and return the manifest.

    `verify` returns the faults of an extracted file.
    """
    if not path.is_file():
        raise CacheError(f"{path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise CacheError(f"{path}: is not a packed file, or was cut short; copy it again")
    with (
        translate_errors(path, f"a whole file of `{kind.maker}`"),
        zipfile.ZipFile(path) as archive,
    ):
        manifest = _read_manifest(path, archive, kind)
        for entry in manifest[kind.files]:
            target = _extract(path, archive, entry, folder)
            if faults := list(verify(target)):
                raise CacheError(
                    f"{path}: {entry['file']}: {'; '.join(faults)}. Nothing was unpacked"
                )
    return manifest


def _read_manifest(path: Path, archive: zipfile.ZipFile, kind: Kind) -> dict[str, Any]:
    """Read the manifest, and check that the archive holds exactly the files that it names."""
    members = [info.filename for info in archive.infolist()]
    if MANIFEST not in members:
        raise CacheError(f"{path}: has no {MANIFEST}; expected a file of `{kind.maker}`")
    if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
        raise CacheError(
            f"{path}: its {MANIFEST} is implausibly large; expected a file of `{kind.maker}`"
        )
    try:
        manifest: dict[str, Any] = parse_json(archive.read(MANIFEST), f"{path}: its {MANIFEST}")
    except DocumentError as error:
        raise CacheError(f"{error}; expected a file of `{kind.maker}`") from error
    name, schema = manifest.get("kind"), manifest.get("schema")
    if (name, schema) != (kind.name, SCHEMA):
        raise CacheError(
            f"{path}: holds {name} with schema {schema}, expected {kind.name} with schema "
            f"{SCHEMA}; it was packed by roiridge {manifest.get('roiridge')}: use that version"
        )
    entries = manifest.setdefault(kind.files, [])
    for entry in entries:
        _check_entry(path, entry, kind)
    expected = [MANIFEST, *(entry["file"] for entry in entries)]
    if sorted(members) != sorted(expected):
        differing = sorted({*members} ^ {*expected}) or ["a file twice"]
        raise CacheError(
            f"{path}: holds other files than its {MANIFEST} says ({', '.join(differing[:5])}); "
            "nothing was unpacked: ask for it again"
        )
    return manifest


def _check_entry(path: Path, entry: object, kind: Kind) -> None:
    if not isinstance(entry, dict) or any(
        not isinstance(entry.get(name), type_) for name, type_ in FIELDS.items()
    ):
        raise CacheError(f"{path}: its {MANIFEST} lacks {', '.join(FIELDS)} of a file")
    if not kind.accepts(entry["file"]):
        raise CacheError(
            f"{path}: names a file {entry['file']!r}, expected {kind.layout}; nothing was "
            "unpacked: do not trust this file"
        )


def _extract(path: Path, archive: zipfile.ZipFile, entry: Mapping[str, Any], folder: Path) -> Path:
    info = archive.getinfo(entry["file"])
    # A small compressed file could fill the disk.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != entry["bytes"]:
        raise CacheError(
            f"{path}: {entry['file']} has {info.file_size} bytes, expected {entry['bytes']} "
            "without compression; nothing was unpacked: copy it again"
        )
    target = folder / entry["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as member, target.open("wb") as file:
        _, sha256 = _copy(member, file)
    if sha256 != entry["sha256"]:
        raise CacheError(
            f"{path}: {entry['file']} has sha256 {sha256[:16]}…, expected {entry['sha256'][:16]}…; "
            "nothing was unpacked: copy it again"
        )
    return target
