"""What was made, and beside it a JSON that says from what: read again where nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from base import DocumentError, read_json, replacing, sha256_files

# The field by which a JSON is known to be as it was written.
SEAL = "sha256_of_the_rest"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON, whole or not at all."""
    sealed = {**content, SEAL: _seal(content)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def _seal(content: Mapping[str, Any]) -> str:
    """Digest what a JSON holds, by which a changed one is known."""
    plain = {name: value for name, value in content.items() if name != SEAL}
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_if_current(path: Path, sidecar: Path, key: str) -> dict[str, Any] | None:
    """Read the JSON beside a file, if both are of this key and the file is as it was written.

    Parameters
    ----------
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
        content: dict[str, Any] = read_json(sidecar)
    except DocumentError:
        return None
    same_key = content.get("key") == key and content.get(SEAL) == _seal(content)
    return content if same_key and content.get("sha256") == sha256_files([path])[0] else None
