"""What a stage made: named arrays and one JSON mapping in a file that loads anywhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from base import convert_paths
from cache.errors import CacheError
from cache.hdf5 import check_schema, creating, get_json, put, put_json, put_schema, reading


@convert_paths
def write_artifact(path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write arrays and what they are, whole or not at all.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced in one step.
    arrays : mapping of str to array
        Numeric or fixed-length bytes arrays.
    meta : mapping
        What they are and were made from: all that JSON can hold.
    """
    with creating(path) as opened:
        put_schema(opened, "artifact")
        put_json(opened, "meta", meta)
        group = opened.create_group("arrays")
        for name, array in arrays.items():
            put(group, name, array)


@convert_paths
def read_artifact(
    path: Path, names: Sequence[str] | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read arrays and meta; checksums are verified on the way.

    Parameters
    ----------
    path : Path
        The file.
    names : sequence of str, optional
        Which arrays; all by default.

    Returns
    -------
    arrays : dict of str to array
        As written.
    meta : dict
        As written.

    Raises
    ------
    CacheError
        If the file is damaged, or an array is not in it.
    """
    with reading(path) as opened:
        check_schema(opened, path, "artifact")
        group = opened["arrays"]
        absent = sorted(set(names or ()) - set(group))
        if absent:
            raise CacheError(f"{path}: has no array {', '.join(absent)}; it has {', '.join(group)}")
        arrays = {name: group[name][()] for name in (names if names is not None else group)}
        return arrays, get_json(opened, "meta")


@convert_paths
def read_meta(path: Path) -> dict[str, Any]:
    """Read only the meta of an artifact.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        As written.
    """
    with reading(path) as opened:
        check_schema(opened, path, "artifact")
        return get_json(opened, "meta")
