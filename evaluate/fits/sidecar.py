"""A JSON next to each output file, which records its inputs: unchanged outputs are not redone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from base import DocumentError, read_json, replacing, sha256_files

# The field with the digest of all others, by which an edited JSON is recognised.
SEAL = "sha256_of_the_rest"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON with the digest of its content; on failure the previous file stays."""
    sealed = {**content, SEAL: _seal(content)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def _seal(content: Mapping[str, Any]) -> str:
    """Digest all fields but `SEAL`."""
    plain = {name: value for name, value in content.items() if name != SEAL}
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_if_current(path: Path, sidecar: Path, key: str) -> dict[str, Any] | None:
    """Read the JSON next to a file, or return None if the file must be made again.

    That is where either is missing, where the JSON has another `key` (the digest of the inputs),
    where the file does not have its `sha256`, or where the JSON was edited.
    """
    if not path.is_file() or not sidecar.is_file():
        return None
    try:
        content: dict[str, Any] = read_json(sidecar)
    except DocumentError:
        return None
    same_key = content.get("key") == key and content.get(SEAL) == _seal(content)
    return content if same_key and content.get("sha256") == sha256_files([path])[0] else None
