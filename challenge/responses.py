"""Files of measured responses, (n_images, n_vertices)."""

from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files.arrays import open_array
from challenge.layout import pictures_folder, vertices_file


def open_responses(file: Path) -> np.memmap:
    """Open a file of responses without reading its values."""
    values = open_array(file)
    if values.dtype != np.float32 or values.ndim != 2:
        raise DataError(
            f"{file}: {values.dtype} of shape {values.shape}, expected float32, "
            "images x vertices: copy the file again, or convert it with .astype('float32')"
        )
    return values


def row_fault(file: Path, values: np.ndarray, folder: Path, split: str, n_images: int) -> str:
    """Return a message if the number of rows is wrong, else an empty text."""
    if values.shape[0] == n_images:
        return ""
    return (
        f"{file}: {values.shape[0]} rows, expected {n_images}, one for each picture in "
        f"{pictures_folder(folder, split)}: copy both again"
    )


def column_fault(
    file: Path, values: np.ndarray, folder: Path, hemisphere: str, n_vertices: int
) -> str:
    """Return a message if the number of columns is wrong, else an empty text."""
    if values.shape[1] == n_vertices:
        return ""
    mask = vertices_file(folder, hemisphere)
    reason = f"one for each nonzero value in {mask.name}"
    return (
        f"{file}: {values.shape[1]} columns, expected {n_vertices}, "
        f"{reason if mask.is_file() else 'as many as the other responses have'}: one of them is of "
        "another subject or hemisphere, copy both again"
    )
