"""Maps on fsaverage as data: files that freeview, nilearn, Connectome Workbench and pycortex read.

All 163,842 vertices of each hemisphere, in FreeSurfer's order; NaN where nothing was measured.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import choose_from, replacing
from challenge import HEMISPHERES
from challenge.layout import N_FSAVERAGE
from evaluate.arrays import Array, Indices
from evaluate.errors import EvaluateError

FORMATS = ("gifti", "mgh", "npz")
# FreeSurfer's colour of what is unknown; of colour 0, readers of .annot would know no name.
OUTSIDE = ("outside", (25 / 255, 5 / 255, 25 / 255, 0.0))
STRUCTURES = {"lh": "CortexLeft", "rh": "CortexRight"}


def save_surface(
    values: Mapping[str, Array], stem: str | Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Save maps of both hemispheres on fsaverage.

    Parameters
    ----------
    values : mapping of str to array (163842,) or (n_maps, 163842)
        By hemisphere, "lh" and "rh", as `Encoder.to_surface` returns them.
    stem : str or Path
        The beginning of the files' names.
    formats : sequence of str
        gifti, for `<stem>.lh.func.gii` and `.rh.func.gii` with the name of the hemisphere; mgh, for
        `<stem>.lh.mgh`, which freeview overlays; npz, for `<stem>.npz` with `data`, the left
        hemisphere and then the right, as pycortex's `Vertex` takes it.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    EvaluateError
        If a hemisphere is missing, has another number of vertices, or a format is unknown.

    Examples
    --------
    >>> values = {side: np.full(163842, np.nan, np.float32) for side in ("lh", "rh")}
    >>> values["lh"][:10] = 1
    >>> [path.name for path in save_surface(values, "faces", ["gifti", "npz"])]
    ['faces.lh.func.gii', 'faces.rh.func.gii', 'faces.npz']
    """
    formats = [formats] if isinstance(formats, str) else formats
    if not formats:
        raise EvaluateError(f"formats: none given, expected some of {', '.join(FORMATS)}")
    if unknown := [name for name in formats if name not in FORMATS]:
        raise EvaluateError(f"unknown format {unknown[0]!r}: {choose_from(unknown[0], FORMATS)}")
    names = [h for h in HEMISPHERES if h in values]
    sides = {h: np.atleast_2d(np.asarray(values[h], np.float32)) for h in names}
    shapes = {h: side.shape for h, side in sides.items()}
    if set(shapes) != set(HEMISPHERES) or {shape[-1] for shape in shapes.values()} != {N_FSAVERAGE}:
        raise EvaluateError(
            f"values: found {shapes}, expected lh and rh of (n_maps, {N_FSAVERAGE}): place values "
            "on the surface with `Encoder.to_surface`"
        )
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for name in dict.fromkeys(formats):
        files += _WRITERS[name](sides, stem)
    return files


def _nibabel() -> Any:
    """Import nibabel, which has no types and takes half a second."""
    return import_module("nibabel")


def _save_gifti(sides: Mapping[str, NDArray[np.float32]], stem: Path) -> list[Path]:
    nib = _nibabel()
    files = []
    for hemisphere, side in sides.items():
        arrays = [
            nib.gifti.GiftiDataArray(row, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32")
            for row in side
        ]
        meta = nib.gifti.GiftiMetaData(AnatomicalStructurePrimary=STRUCTURES[hemisphere])
        path = stem.with_name(f"{stem.name}.{hemisphere}.func.gii")
        with replacing(path) as temporary:
            temporary.write_bytes(nib.gifti.GiftiImage(meta=meta, darrays=arrays).to_bytes())
        files.append(path)
    return files


def _save_mgh(sides: Mapping[str, NDArray[np.float32]], stem: Path) -> list[Path]:
    nib = _nibabel()
    files = []
    for hemisphere, side in sides.items():
        path = stem.with_name(f"{stem.name}.{hemisphere}.mgh")
        # Vertices lie along the first axis, maps along the fourth, as FreeSurfer has them.
        volumes = side.T[:, None, None, :] if len(side) > 1 else side.T[:, :, None]
        image = nib.freesurfer.MGHImage(volumes, np.eye(4))
        with replacing(path) as temporary:
            temporary.write_bytes(image.to_bytes())
        files.append(path)
    return files


def _save_npz(sides: Mapping[str, NDArray[np.float32]], stem: Path) -> list[Path]:
    path = stem.with_name(f"{stem.name}.npz")
    data = np.concatenate([sides["lh"], sides["rh"]], axis=1)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, data=data[0] if len(data) == 1 else data, subject=np.array("fsaverage")
        )
    return [path]


_WRITERS = {"gifti": _save_gifti, "mgh": _save_mgh, "npz": _save_npz}


def save_labels(
    labels: Mapping[str, Indices],
    names: Sequence[str],
    colours: Sequence[Sequence[float]],
    stem: Path,
    formats: Sequence[str],
) -> list[Path]:
    """Save ROIs of both hemispheres: .label.gii for gifti, .annot for mgh.

    Parameters
    ----------
    labels : mapping of str to array of int (163842,)
        By hemisphere, the number of the ROI from 1; 0 outside.
    names : sequence of str
        Names of the ROIs.
    colours : sequence of (red, green, blue)
        Their colours, 0 to 1.
    """
    nib = _nibabel()
    files = []
    stem.parent.mkdir(parents=True, exist_ok=True)
    table: list[tuple[str, tuple[float, ...]]] = [OUTSIDE]
    table += [(n, (*map(float, c), 1.0)) for n, c in zip(names, colours, strict=True)]
    for hemisphere, numbers in labels.items():
        if "gifti" in formats:
            label_table = nib.gifti.GiftiLabelTable()
            for key, (name, colour) in enumerate(table):
                label = nib.gifti.GiftiLabel(key, *colour)
                label.label = name
                label_table.labels.append(label)
            array = nib.gifti.GiftiDataArray(
                numbers.astype(np.int32), intent="NIFTI_INTENT_LABEL", datatype="NIFTI_TYPE_INT32"
            )
            meta = nib.gifti.GiftiMetaData(AnatomicalStructurePrimary=STRUCTURES[hemisphere])
            image = nib.gifti.GiftiImage(meta=meta, labeltable=label_table, darrays=[array])
            path = stem.with_name(f"{stem.name}.{hemisphere}.label.gii")
            with replacing(path) as temporary:
                temporary.write_bytes(image.to_bytes())
            files.append(path)
        if "mgh" in formats:
            ctab = np.array([[*(round(255 * v) for v in c[:3]), 0] for _, c in table], np.int32)
            path = stem.with_name(f"{stem.name}.{hemisphere}.annot")
            with replacing(path) as temporary:
                nib.freesurfer.write_annot(
                    temporary, numbers.astype(np.int64), ctab, [n for n, _ in table], fill_ctab=True
                )
            files.append(path)
    return files
