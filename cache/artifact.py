"""Results of a stage: named arrays and one JSON mapping in a file that loads anywhere."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from base import convert_paths
from cache.errors import CacheError
from cache.hdf5 import check_schema, creating, get_json, put, put_json, put_schema, reading


@convert_paths
def write_artifact(path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write arrays and their description to a file, atomically.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced in one step.
    arrays : mapping of str to array
        Numeric or fixed-length bytes arrays.
    meta : mapping
        A description of the arrays and of their sources, with values that JSON can hold.

    Examples
    --------
    >>> write_artifact("fit.h5", {"coef_": np.zeros((3, 2))}, {"model": "ridge"})
    """
    with creating(path) as file:
        put_schema(file, "artifact")
        put_json(file, "meta", meta)
        group = file.create_group("arrays")
        for name, array in arrays.items():
            put(group, name, array)


@convert_paths
def read_artifact(
    path: Path, names: Sequence[str] | None = None, leave_out: Collection[str] = ()
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read arrays and meta, and verify their checksums.

    Parameters
    ----------
    path : Path
        The file.
    names : sequence of str, optional
        Names of the arrays to read; all by default.
    leave_out : collection of str
        Names of arrays that are not read, if the file has them.

    Returns
    -------
    arrays : dict of str to array
        The arrays by name.
    meta : dict
        The description that was written with them.

    Raises
    ------
    CacheError
        If the file is damaged, or an array is not in it.

    Examples
    --------
    >>> write_artifact("fit.h5", {"coef_": np.zeros((3, 2))}, {"model": "ridge"})
    >>> arrays, meta = read_artifact("fit.h5")
    >>> arrays["coef_"].shape, meta
    ((3, 2), {'model': 'ridge'})
    """
    with reading(path) as file:
        check_schema(file, path, "artifact")
        group = file["arrays"]
        absent = sorted(set(names or ()) - set(group))
        if absent:
            raise CacheError(f"{path}: has no array {', '.join(absent)}; it has {', '.join(group)}")
        selection = names if names is not None else group
        arrays = {name: group[name][()] for name in selection if name not in leave_out}
        return arrays, get_json(file, "meta")


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
        The description that was written with the arrays.

    Examples
    --------
    >>> write_artifact("fit.h5", {}, {"model": "ridge"})
    >>> read_meta("fit.h5")
    {'model': 'ridge'}
    """
    return read_artifact(path, ())[1]


def artifact_files(folder: Path) -> list[Path]:
    """Return the artifacts in a folder and its subfolders, sorted, without temporary files."""
    return sorted(path for path in folder.rglob("*.h5") if not path.name.startswith("."))
