"""The sha256 of the pictures in a folder, by which rows of features are named.

Nothing here depends on the layout of a dataset: any folder of pictures will do.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from base import sha256_files
from cache.errors import CacheError
from cache.key import N_LISTED, first_names

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
DIGEST = re.compile("[0-9a-fA-F]{64}")


def find_pictures(data: Path) -> list[Path]:
    """Return the picture files in a folder and its subfolders, sorted.

    Hidden files and folders are left out, links are followed.
    """
    if not data.is_dir():
        raise CacheError(f"{data}: no such folder; give --data, the folder with the pictures")
    pictures = sorted(_walk(data))
    if not pictures:
        raise CacheError(
            f"{data}: holds no pictures ({', '.join(sorted(SUFFIXES))}); give --data, the folder "
            "with the pictures"
        )
    return pictures


def _walk(data: Path) -> Iterator[Path]:
    visited = set()
    for folder, folders, files in os.walk(data, followlinks=True):
        if (real := os.path.realpath(folder)) in visited:
            # A link to a parent folder would lead to an endless loop.
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def digest_pictures(data: Path) -> dict[str, Path]:
    """Return the first picture of each sha256 in a folder, in the order of the files."""
    files = find_pictures(data)
    pictures: dict[str, Path] = {}
    for digest, file in zip(sha256_files(files), files, strict=True):
        pictures.setdefault(digest, file)
    return pictures


def resolve_names(names: Sequence[str], data: Path | None, source: Path) -> list[str]:
    """Return the sha256 of the picture of each name; no `data` is needed for names that are sha256.

    Other names are the end of a picture's path, of which folders may be left out:
    `subj01/train-0001_nsd-00013.png`. A whole path may be of another machine, and of Windows.
    """
    paths = [name for name in dict.fromkeys(names) if not DIGEST.fullmatch(name)]
    digests = {name: name.lower() for name in names if DIGEST.fullmatch(name)}
    if paths and data is None:
        raise CacheError(
            f"{source}: {len(paths)} of {len(names)} picture names are not a sha256 "
            f"({first_names(paths)}): give --data, the folder with these pictures"
        )
    if paths and data is not None:
        digests.update(_resolve_paths(paths, data, source))
    return [digests[name] for name in names]


def _resolve_paths(paths: Sequence[str], data: Path, source: Path) -> dict[str, str]:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in find_pictures(data):
        by_name[_normalize(file.name)].append(file)
    matches = {path: _matching_files(path, by_name, data) for path in paths}
    unknown = [path for path, files in matches.items() if not files]
    if unknown:
        raise CacheError(
            f"{source}: {len(unknown)} names are of no picture in {data} ({first_names(unknown)}); "
            "expected sha256 digests, or paths such as subj01/train-0001_nsd-00013.png"
        )
    # Only the matching pictures are digested: a whole dataset takes minutes to read.
    files = [file for group in matches.values() for file in group]
    digests = dict(zip(files, sha256_files(files), strict=True))
    candidates = {path: {digests[file] for file in files} for path, files in matches.items()}
    ambiguous = [path for path, choices in candidates.items() if len(choices) > 1]
    if ambiguous:
        examples = ", ".join(
            str(file.relative_to(data)) for file in matches[ambiguous[0]][:N_LISTED]
        )
        raise CacheError(
            f"{source}: {len(ambiguous)} names fit several pictures ({first_names(ambiguous)}; the "
            f"first is {examples}): add folders to the name, such as "
            "subj01/train-0001_nsd-00013.png"
        )
    return {path: digest for path, choices in candidates.items() for digest in choices}


def _matching_files(path: str, by_name: Mapping[str, Sequence[Path]], data: Path) -> list[Path]:
    """Return the files that a name matches."""
    # The backslash separates folders on Windows, and may be part of a name elsewhere.
    for parsed in (PurePosixPath(_normalize(path)), PureWindowsPath(_normalize(path))):
        files = [file for file in by_name.get(parsed.name, ()) if _matches(parsed, file, data)]
        if files:
            return files
    return []


def _matches(path: PurePath, file: Path, data: Path) -> bool:
    """Return whether a name matches a file in the folder `data`."""
    parts = [_normalize(part) for part in file.relative_to(data).parts]
    if path.anchor:
        # The folder itself may have had another path.
        return list(path.parts[-len(parts) :]) == parts
    # Some of the parent folders may be left out.
    folders = iter(parts[:-1])
    return all(step in folders for step in path.parent.parts)


def _normalize(name: str) -> str:
    """Return a name with composed letters, since some systems decompose "é" in names of files."""
    return unicodedata.normalize("NFC", name)
