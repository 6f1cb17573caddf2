"""Label maps of the classes of regions, and the names of their labels."""

from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files import load_allowlisted, read_vector
from challenge.layout import HEMISPHERES, labels_file, mapping_file

# The name of the group of vertices that are in no ROI.
RESIDUAL = "residual"
# Tables use "all" for a whole class and for all vertices.
_RESERVED = (RESIDUAL, "all")
# File systems allow names of 255 bytes, which also hold a hemisphere, a suffix and more.
_MAX_NAME_BYTES = 200


def lacks_class(folder: Path, roi_class: str) -> bool:
    """Return whether all label maps and names of a class are missing, so that it has no regions."""
    labels = [labels_file(folder, hemisphere, roi_class) for hemisphere in HEMISPHERES]
    return not any(file.exists() for file in (*labels, mapping_file(folder, roi_class)))


def read_labels(
    folder: Path, hemisphere: str, roi_class: str, n_vertices: int | None
) -> np.ndarray:
    """Read the label of each column of the responses, (n_vertices,), in one class of regions.

    The label is 0 for vertices in no region of the class. The number of vertices is not checked if
    `n_vertices` is None.
    """
    file = labels_file(folder, hemisphere, roi_class)
    labels = read_vector(file, n_vertices, "the vertices of the all-vertices mask")
    integers = labels.astype(np.int64, casting="unsafe")
    if (integers != labels).any():
        raise DataError(f"{file}: {labels.dtype} values, expected whole numbers: copy it again")
    return integers


def read_names(folder: Path, roi_class: str) -> dict[int, str]:
    """Read the names of the labels of one class, including that of label 0 if the file has it."""
    file = mapping_file(folder, roi_class)
    mapping = load_allowlisted(file)
    if isinstance(mapping, np.ndarray) and mapping.shape == ():
        mapping = mapping.item()
    is_valid = isinstance(mapping, dict) and all(
        isinstance(label, int | np.integer) and isinstance(name, str)
        for label, name in mapping.items()
    )
    if not is_valid:
        raise DataError(
            f"{file}: holds a {type(mapping).__name__}, expected a dict of int labels to names, "
            'such as {0: "Unknown", 1: "V1v"}: copy the file again'
        )
    names = {int(label): str(name) for label, name in mapping.items()}
    for label, name in names.items():
        if label and (fault := _name_fault(name)):
            raise DataError(
                f"{file}: label {label} is called {name[:40] + '…' * (len(name) > 40)!r}, which "
                f"{fault}; fits are saved under the names of ROIs: rename it"
            )
    return names


def _name_fault(name: str) -> str:
    """Return why an ROI's name cannot be part of the name of a file; empty if it can."""
    if not name.strip() or name in (".", ".."):
        return "is not a name"
    if character := next((c for c in name if c in "/\\" or not c.isprintable()), ""):
        return f"holds {character!r}"
    if (length := len(name.encode())) > _MAX_NAME_BYTES:
        return f"is {length} bytes long, expected {_MAX_NAME_BYTES} at most"
    if name.lower() in _RESERVED:
        return "is reserved"
    return ""
