"""What was made, and beside it a JSON that says from what: read again where nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from base import replacing, sha256_files


def write_json(path: Path, held: Mapping[str, Any]) -> None:
    """Write a JSON, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    held : mapping
        What it is to hold.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")


def read_kept(path: Path, sidecar: Path, key: str) -> dict[str, Any] | None:
    """Read the JSON beside a file, if both are of this key and the file is as it was written.

    Parameters
    ----------
    path : Path
        The file.
    sidecar : Path
        The JSON, whose `key` digests all that the file was made from, and `sha256` the file.
    key : str
        The digest of what it would be made from now.

    Returns
    -------
    dict or None
        What the JSON says; None where the file must be made.
    """
    if not path.is_file() or not sidecar.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(sidecar.read_text())
        same = found["key"] == key and found["sha256"] == sha256_files([path])[0]
    except (ValueError, KeyError, TypeError):
        return None
    return found if same else None
