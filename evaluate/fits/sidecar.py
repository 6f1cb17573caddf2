"""Outputs, and the JSON next to each: it records the inputs, so that nothing is made twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base import DocumentError, read_json, replacing, sha256_files

if TYPE_CHECKING:
    import pandas as pd

# The field with the digest of all others, by which an edited JSON is recognised.
SEAL = "sha256_of_the_rest"


def write_csv(path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Write a table; on failure the previous file stays."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", **options)


def write_json(
    path: Path, content: Mapping[str, Any], seal: bool = True, sort: bool = True
) -> None:
    """Write a JSON, with the digest of its content; on failure the previous file stays."""
    sealed = {**content, SEAL: _seal(content)} if seal else content
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(sealed, indent=1, sort_keys=sort) + "\n")


def _seal(content: Mapping[str, Any]) -> str:
    """Digest all fields but `SEAL`."""
    plain = {name: value for name, value in content.items() if name != SEAL}
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def digest_files(files: Sequence[Path]) -> dict[str, str]:
    """Return the sha256 of each file's content, by its name."""
    return dict(zip((file.name for file in files), sha256_files(files), strict=True))


def read_if_current(
    path: Path, sidecar: Path, key: str, figures: Sequence[Path] = ()
) -> dict[str, Any] | None:
    """Read the JSON next to a file, or return None if the file must be made again.

    That is where a file is missing, where the JSON has another `key` (the digest of the inputs),
    where the content of the file or of its figures does not have the digest there (`sha256`,
    `figures`), or where the JSON was edited. Times of files are not looked at.
    """
    if not all(file.is_file() for file in (path, sidecar, *figures)):
        return None
    try:
        content: dict[str, Any] = read_json(sidecar)
    except DocumentError:
        return None
    if content.get("key") != key or content.get(SEAL) != _seal(content):
        return None
    same_figures = content.get("figures", {}) == digest_files(figures)
    return content if same_figures and content.get("sha256") == sha256_files([path])[0] else None
