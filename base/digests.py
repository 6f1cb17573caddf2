"""What something is, as a digest: of a mapping, or of the contents of files."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Signature = tuple[str, int, int, int, int, int]

# Nanoseconds that a file must have been left alone: a change that follows at once may have the same
# times, which some file systems keep in steps of two seconds.
AT_REST = 3_000_000_000
_CONTENTS: dict[Signature, str] = {}


def canonical(value: Mapping[str, Any]) -> str:
    """Write a mapping as canonical JSON: sorted, without spaces, ASCII, no NaN.

    Parameters
    ----------
    value : mapping
        Strings, integers, floats, booleans, None, and lists and mappings of them.

    Returns
    -------
    str
        The same text for equal mappings, whatever the order of their fields.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: Mapping[str, Any]) -> str:
    """Shorten a mapping to what stands in a file name.

    Parameters
    ----------
    value : mapping
        As for `canonical`.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the sha256 of the canonical JSON.
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def sha256_files(paths: Sequence[Path]) -> list[str]:
    """Digest the contents of files.

    Parameters
    ----------
    paths : sequence of Path
        The files.

    Returns
    -------
    list of str
        The sha256 of each, in hexadecimal, in the order given.
    """
    # hashlib releases the interpreter lock, so threads read and hash side by side.
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_sha256, paths))


def content_digests(paths: Sequence[Path]) -> list[str]:
    """Digest the contents of files, each of which is read once as long as nobody changes it.

    What was read is known again by name, size, inode and both times of a file. The time of its last
    change of any kind (ctime) cannot be set: a copy or an older file that is put back is read anew,
    whatever time of modification it brings.

    Parameters
    ----------
    paths : sequence of Path
        The files.

    Returns
    -------
    list of str
        The sha256 of each, in hexadecimal, in the order given.
    """
    signatures = [_signature(path) for path in paths]
    pairs = zip(paths, signatures, strict=True)
    unread = {path: signature for path, signature in pairs if signature not in _CONTENTS}
    read = dict(zip(unread, sha256_files(list(unread)), strict=True))
    for path, signature in unread.items():
        is_at_rest = time.time_ns() - signature[-1] > AT_REST
        if is_at_rest and _signature(path) == signature:
            _CONTENTS[signature] = read[path]
    pairs = zip(paths, signatures, strict=True)
    return [read[path] if path in read else _CONTENTS[signature] for path, signature in pairs]


def _signature(path: Path) -> Signature:
    stat = path.stat()
    times = stat.st_mtime_ns, stat.st_ctime_ns
    return os.path.abspath(path), stat.st_dev, stat.st_ino, stat.st_size, *times  # noqa: PTH100


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
