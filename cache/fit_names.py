"""Names that people give to fits: a line in the file `name` of a fit's folder."""

import re
from collections.abc import Sequence
from pathlib import Path

from base import convert_paths, replacing
from cache.errors import CacheError

FILE = "name"
PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
ALLOWED = "a letter and then letters, digits, `_`, `.` or `-`, 40 characters at most"


@convert_paths
def read_fit_name(folder: Path) -> str:
    """Return the name of a fit.

    Parameters
    ----------
    folder : Path
        The fit's folder, `OUT/fits/<model>-<digest>`.

    Returns
    -------
    str
        The name; empty if the fit has none.

    Raises
    ------
    CacheError
        If the file of the name holds something else.

    Examples
    --------
    >>> (folder,) = find_fits("derivatives/fits", "ridge")
    >>> read_fit_name(folder)
    'baseline'
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            text = file.read(1000).decode("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    if not PATTERN.fullmatch(text):
        raise CacheError(
            f"{path}: found {text[:40]!r}, expected a name, {ALLOWED}: remove the file, and give "
            "the name again with make fit NAME=…"
        )
    return text


@convert_paths
def check_fit_name(folder: Path, name: str, reserved: Sequence[str] = ()) -> None:
    """Check that a name is valid for a fit and that no other fit has it.

    Parameters
    ----------
    folder : Path
        The folder of the fit to name, which need not exist.
    name : str
        The name.
    reserved : sequence of str
        Names that mean something else, such as those of models.

    Raises
    ------
    CacheError
        If the name is invalid or taken; the message says what to do.

    Examples
    --------
    >>> check_fit_name("derivatives/fits/ridge-0123456789abcdef", "both networks")
    Traceback (most recent call last):
    cache.errors.CacheError: --name both networks: expected a letter and then letters, digits, ...
    """
    if not PATTERN.fullmatch(name):
        raise CacheError(f"--name {name}: expected {ALLOWED}")
    if name in reserved:
        raise CacheError(
            f"--name {name}: means something else where fits are chosen (--fits {name}); expected "
            f"another, such as {name[:35]}-1"
        )
    for existing in fit_folders(folder.parent):
        if existing.name != folder.name and read_fit_name(existing) == name:
            raise CacheError(
                f"--name {name}: is the name of {existing}, a fit of other settings or features; "
                f"expected another name, or remove {existing / FILE} to free this one"
            )


@convert_paths
def write_fit_name(folder: Path, name: str) -> None:
    """Write the name of a fit, replacing an earlier name.

    Parameters
    ----------
    folder : Path
        The fit's folder.
    name : str
        A name that `check_fit_name` passes.

    Examples
    --------
    >>> write_fit_name("fits/ridge-0123456789abcdef", "both")
    >>> read_fit_name("fits/ridge-0123456789abcdef")
    'both'
    """
    if read_fit_name(folder) != name:
        with replacing(folder / FILE) as temporary:
            temporary.write_text(f"{name}\n", encoding="utf-8")


@convert_paths
def fit_folders(root: Path) -> list[Path]:
    """Return the folders of fits, sorted.

    Parameters
    ----------
    root : Path
        `OUT/fits`.

    Returns
    -------
    list of Path
        The folders of all fits, with or without a name.

    Examples
    --------
    >>> [folder.name for folder in fit_folders("derivatives/fits")]
    ['ridge-...']
    """
    return sorted(path for path in root.glob("[!.]*") if path.is_dir())


@convert_paths
def find_fits(root: Path, name: str) -> list[Path]:
    """Return the fits that a name selects.

    Parameters
    ----------
    root : Path
        `OUT/fits`.
    name : str
        The name of a fit, or the beginning of the names of folders.

    Returns
    -------
    list of Path
        The fit of exactly this name if there is one; else all whose folder begins with it.

    Raises
    ------
    CacheError
        If several fits have this name, as where their folders were copied from elsewhere.

    Examples
    --------
    >>> find_fits("derivatives/fits", "baseline")
    [...Path('derivatives/fits/ridge-...')]
    """
    folders = fit_folders(root)
    matches = [folder for folder in folders if read_fit_name(folder) == name]
    if len(matches) > 1:
        raise CacheError(
            f"{name}: is the name of {' and '.join(map(str, matches))}: remove the file {FILE} of "
            "one of them, or choose by the beginning of the folder's name"
        )
    return matches or [folder for folder in folders if folder.name.startswith(name)]
