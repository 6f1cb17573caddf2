"""Label maps of the classes of regions, and the names of their labels."""

from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files.arrays import read_vector
from challenge.files.pickles import load_allowlisted
from challenge.layout import HEMISPHERES, labels_file, mapping_file

# The name of the group of vertices that no ROI claims.
RESIDUAL = "residual"
# A table calls a class as a whole, or all vertices, by the second.
_RESERVED = (RESIDUAL, "all")
# Bytes. File systems take names of 255, in which a hemisphere, a suffix and more must have room.
_LONGEST_NAME = 200


def lacks_class(folder: Path, roi_class: str) -> bool:
    """Return whether none of a class' label maps and names are there: it then has no regions.

    Returns
    -------
    bool
        False where any of its files in the space of the responses is there.
    """
    labels = [labels_file(folder, hemisphere, roi_class) for hemisphere in HEMISPHERES]
    return not any(file.exists() for file in (*labels, mapping_file(folder, roi_class)))


def read_labels(
    folder: Path, hemisphere: str, roi_class: str, n_vertices: int | None
) -> np.ndarray:
    """Read the labels of the responses' columns in one class of regions.

    Parameters
    ----------
    n_vertices : int, optional
        The number of columns of the responses, which is not checked where it is not known.

    Returns
    -------
    array (n_vertices,) of int64
        The label of each column, 0 where it is in no region of the class.
    """
    file = labels_file(folder, hemisphere, roi_class)
    labels = read_vector(file, n_vertices, "the vertices of the all-vertices mask")
    whole = labels.astype(np.int64, casting="unsafe")
    if (whole != labels).any():
        raise DataError(f"{file}: {labels.dtype} values, expected whole numbers: copy it again")
    return whole


def read_names(folder: Path, roi_class: str) -> dict[int, str]:
    """Read the names of the labels of one class.

    Returns
    -------
    dict of int to str
        The name of each label, that of 0 among them where the file has it.
    """
    file = mapping_file(folder, roi_class)
    held = load_allowlisted(file)
    if isinstance(held, np.ndarray) and held.shape == ():
        held = held.item()
    plain = isinstance(held, dict) and all(
        isinstance(label, int | np.integer) and isinstance(name, str)
        for label, name in held.items()
    )
    if not plain:
        raise DataError(
            f"{file}: holds a {type(held).__name__}, expected a dict of int labels to names, such "
            'as {0: "Unknown", 1: "V1v"}: copy the file again'
        )
    names = {int(label): str(name) for label, name in held.items()}
    for label, name in names.items():
        if label and (fault := _name_fault(name)):
            raise DataError(
                f"{file}: label {label} is called {_short(name)}, which {fault}; fits are saved "
                "under the names of ROIs: rename it"
            )
    return names


def _name_fault(name: str) -> str:
    """Return why a name cannot be an ROI's, whose models are saved under it; empty if it can."""
    if not name.strip() or name in (".", ".."):
        return "is no name"
    if wrong := next((c for c in name if c in "/\\" or not c.isprintable()), ""):
        return f"holds {wrong!r}"
    if (length := len(name.encode())) > _LONGEST_NAME:
        return f"is {length} bytes long, expected {_LONGEST_NAME} at most"
    if name.lower() in _RESERVED:
        return "means something else here"
    return ""


def _short(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:40] + "…")
