"""Pictures under a folder, by the sha256 of their files: what rows of features are named by.

Nothing here knows how a dataset is laid out: any folder of pictures will do.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from base import sha256_files
from cache.errors import CacheError
from cache.key_fields import LISTED, some

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
DIGEST = re.compile("[0-9a-fA-F]{64}")


def find_pictures(data: Path) -> list[Path]:
    """List the picture files in a folder and all folders beneath it.

    Returns
    -------
    list of Path
        Sorted; hidden files and folders are left out, links are followed.
    """
    if not data.is_dir():
        raise CacheError(f"{data}: no such folder; give --data, the folder with the pictures")
    found = sorted(_walk(data))
    if not found:
        raise CacheError(
            f"{data}: holds no pictures ({', '.join(sorted(SUFFIXES))}); give --data, the folder "
            "with the pictures"
        )
    return found


def _walk(data: Path) -> Iterator[Path]:
    seen = set()
    for folder, folders, files in os.walk(data, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            # A link to a folder above would go round for ever.
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def digest_pictures(data: Path) -> dict[str, Path]:
    """Digest every picture of a folder.

    Returns
    -------
    dict of str to Path
        The first file of each sha256, in the order of the files.
    """
    files = find_pictures(data)
    found: dict[str, Path] = {}
    for digest, file in zip(sha256_files(files), files, strict=True):
        found.setdefault(digest, file)
    return found


def resolve_names(names: Sequence[str], data: Path | None, source: Path) -> list[str]:
    """Find the picture that each name means.

    Parameters
    ----------
    names : sequence of str
        A sha256 each, or the end of a picture's path, of which folders may be left out:
        `subj01/train-0001_nsd-00013.png`. A whole path may be of another machine, and of Windows.
    data : Path or None
        The folder with the pictures; it may be None where all names are sha256.
    """
    paths = [name for name in dict.fromkeys(names) if not DIGEST.fullmatch(name)]
    known = {name: name.lower() for name in names if DIGEST.fullmatch(name)}
    if paths and data is None:
        raise CacheError(
            f"{source}: {len(paths)} of {len(names)} picture names are not a sha256 "
            f"({some(paths)}): give --data, the folder with these pictures"
        )
    if paths and data is not None:
        known.update(_resolve_paths(paths, data, source))
    return [known[name] for name in names]


def _resolve_paths(paths: Sequence[str], data: Path, source: Path) -> dict[str, str]:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in find_pictures(data):
        by_name[_composed(file.name)].append(file)
    fitting = {path: _fitting(path, by_name, data) for path in paths}
    unknown = [path for path, files in fitting.items() if not files]
    if unknown:
        raise CacheError(
            f"{source}: {len(unknown)} names are of no picture in {data} ({some(unknown)}); "
            "expected sha256 digests, or paths such as subj01/train-0001_nsd-00013.png"
        )
    # Only the pictures that are named: a whole dataset takes minutes to read.
    files = [file for each in fitting.values() for file in each]
    digests = dict(zip(files, sha256_files(files), strict=True))
    found = {path: {digests[file] for file in files} for path, files in fitting.items()}
    ambiguous = [path for path, several in found.items() if len(several) > 1]
    if ambiguous:
        there = ", ".join(str(file.relative_to(data)) for file in fitting[ambiguous[0]][:LISTED])
        raise CacheError(
            f"{source}: {len(ambiguous)} names fit several pictures ({some(ambiguous)}; the first "
            f"is {there}): add folders to the name, such as subj01/train-0001_nsd-00013.png"
        )
    return {path: digest for path, several in found.items() for digest in several}


def _fitting(path: str, by_name: Mapping[str, Sequence[Path]], data: Path) -> list[Path]:
    """Find the files that a name may be of."""
    # A backslash may be part of a name, where names are not those of Windows.
    for read in (PurePosixPath(_composed(path)), PureWindowsPath(_composed(path))):
        found = [file for file in by_name.get(read.name, ()) if _fits(read, file, data)]
        if found:
            return found
    return []


def _fits(path: PurePath, file: Path, data: Path) -> bool:
    """Return whether a name is of a file of a folder."""
    inside = [_composed(part) for part in file.relative_to(data).parts]
    if path.anchor:
        # The folder itself may have been elsewhere.
        return list(path.parts[-len(inside) :]) == inside
    # Of the folders above some may be left out.
    folders = iter(inside[:-1])
    return all(step in folders for step in path.parent.parts)


def _composed(name: str) -> str:
    """Write a name with composed letters: some systems take "é" apart in names of files."""
    return unicodedata.normalize("NFC", name)
