"""Digests of mappings and of the contents of files."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Signature = tuple[str, int, int, int, int, int]

# Nanoseconds since the last change of a file before its digest is remembered: a change right after
# another may have the same times, which some file systems keep in steps of two seconds.
AT_REST = 3_000_000_000
_CONTENTS: dict[Signature, str] = {}


def canonical(value: Mapping[str, Any]) -> str:
    """Return a mapping as canonical JSON: sorted, without spaces, ASCII, no NaN.

    Parameters
    ----------
    value : mapping
        Its values are strings, integers, floats, booleans, None, or lists and mappings of them.

    Returns
    -------
    str
        The same text for equal mappings, whatever the order of their fields.

    Examples
    --------
    >>> canonical({"seed": 0, "model": "ridge"})
    '{"model":"ridge","seed":0}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: Mapping[str, Any]) -> str:
    """Return the digest of a mapping, short enough for a file name.

    Parameters
    ----------
    value : mapping
        A mapping that `canonical` accepts.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the sha256 of the canonical JSON.

    Examples
    --------
    >>> digest({"seed": 0, "model": "ridge"})
    '94e2204960bcd5bc'
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def sha256_files(paths: Sequence[Path]) -> list[str]:
    """Return the sha256 of the contents of each file.

    Parameters
    ----------
    paths : sequence of Path
        The files.

    Returns
    -------
    list of str
        Hexadecimal digits, in the order of `paths`.

    Examples
    --------
    >>> _ = Path("clip.csv").write_text("picture,score")
    >>> [sha256[:8] for sha256 in sha256_files([Path("clip.csv")])]
    ['41471ddd']
    """
    # hashlib releases the interpreter lock, so threads read and hash side by side.
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_sha256, paths))


def content_digests(paths: Sequence[Path]) -> list[str]:
    """Return the sha256 of the contents of each file, reading an unchanged file only once.

    An unchanged file is recognised by its name, size, inode, mtime and ctime. Since ctime cannot be
    set by a user, a file that was replaced is read again, whatever its time of modification.

    Parameters
    ----------
    paths : sequence of Path
        The files.

    Returns
    -------
    list of str
        Hexadecimal digits, in the order of `paths`.

    Examples
    --------
    >>> _ = Path("clip.csv").write_text("picture,score")
    >>> content_digests([Path("clip.csv")]) == sha256_files([Path("clip.csv")])
    True
    """
    signatures = [_signature(path) for path in paths]
    pairs = zip(paths, signatures, strict=True)
    new = {path: signature for path, signature in pairs if signature not in _CONTENTS}
    new_digests = dict(zip(new, sha256_files(list(new)), strict=True))
    for path, signature in new.items():
        is_at_rest = time.time_ns() - signature[-1] > AT_REST
        if is_at_rest and _signature(path) == signature:
            _CONTENTS[signature] = new_digests[path]
    pairs = zip(paths, signatures, strict=True)
    return [
        new_digests[path] if path in new_digests else _CONTENTS[signature]
        for path, signature in pairs
    ]


def _signature(path: Path) -> Signature:
    stat = path.stat()
    times = stat.st_mtime_ns, stat.st_ctime_ns
    return os.path.abspath(path), stat.st_dev, stat.st_ino, stat.st_size, *times  # noqa: PTH100


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
