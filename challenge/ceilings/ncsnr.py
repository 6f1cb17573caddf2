"""Read NSD's ncsnr and numbers of repeats from .mgh, .mgz, .npy and CSV files."""

from pathlib import Path

import numpy as np
import pandas as pd

from challenge.ceilings.published import PUBLISHED, TRIALS_PER_SESSION
from challenge.errors import DataError
from challenge.files import open_array

_SURFACES = (".mgh", ".mgz")
# NSD's largest ratios are below 2; ceilings in percent exceed this bound at some vertex.
_MAX_RATIO = 10


def read_ncsnr(file: Path, mask: np.ndarray) -> np.ndarray:
    """Read the noise ceiling signal-to-noise ratio of each column of the responses.

    The file is FreeSurfer's .mgh or .mgz, or .npy; of all fsaverage vertices, or of those of the
    mask (163842,), which is True at the vertices that are columns of the responses.
    """
    array = np.squeeze(_read(file))
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file}: {array.dtype} values, expected a ratio for each vertex")
    values = array.astype(np.float64)
    if values.shape == mask.shape:
        # Outside the mask, NSD's values are arbitrary.
        values = values[mask]
    elif values.shape != (int(mask.sum()),):
        raise DataError(
            f"{file}: shape {values.shape}, expected ({mask.size},), the vertices of fsaverage, or "
            f"({int(mask.sum())},), those of the all-vertices mask: it is of another surface, "
            "subject or hemisphere"
        )
    if n_invalid := int((~np.isfinite(values)).sum()):
        raise DataError(
            f"{file}: {n_invalid} of {values.size} values at measured vertices are NaN or "
            "infinite, expected ratios; write 0 where there is no signal"
        )
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _MAX_RATIO:
        # Most ratios are below 1, and most ceilings in percent above it.
        percent = low >= 0 and 2 * (values > 1).sum() > (values > 0).sum()
        raise DataError(
            f"{file}: values from {low:g} to {high:g}, expected ratios of standard deviations, at "
            "least 0 and below 2 in NSD"
            + ("; these look like ceilings in percent (nc_3trials): give ncsnr" if percent else "")
        )
    return values


def _read(file: Path) -> np.ndarray:
    if file.suffix == ".npy":
        return np.array(open_array(file))
    if file.suffix not in _SURFACES:
        raise DataError(f"{file}: expected a .mgh, .mgz or .npy file")
    if not file.is_file():
        raise DataError(f"{file}: missing; give the path of NSD's ncsnr of this hemisphere")
    from nibabel.freesurfer.mghformat import MGHImage  # slow to import, rarely needed

    try:
        return np.asarray(MGHImage.from_filename(file).dataobj)
    except Exception as error:  # nibabel raises errors of many types, also of zlib and struct
        raise DataError(
            f"{file}: not read as a FreeSurfer surface file ({error}): copy it again"
        ) from error


def read_repeats(table: str | int, subject: str, nsd_ids: np.ndarray) -> np.ndarray:
    """Read the number of repeats of each picture, (n_images,) of int64.

    `table` is a number for all pictures; or a CSV with the columns `nsd_id` and `repeats`; or NSD's
    `nsd_stim_info_merged.csv`, whose trials are counted up to the last session that the subject
    completed.
    """
    if str(table).isdecimal():
        return np.full(len(nsd_ids), int(table))
    file = Path(str(table))
    try:
        frame = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file}: not read as a CSV ({error}); expected a number such as 3, or a CSV with the "
            "columns nsd_id and repeats, or NSD's nsd_stim_info_merged.csv"
        ) from error
    counts = _count_repeats(frame, file, subject)
    if missing := [number for number in nsd_ids.tolist() if not counts.get(number, 0) >= 1]:
        raise DataError(
            f"{file}: {len(missing)} of {len(nsd_ids)} pictures of subject {subject} were never "
            f"shown, the first NSD id {missing[0]}; expected each once at least: it is the table "
            "of another subject or dataset"
        )
    return np.array([counts[number] for number in nsd_ids.tolist()])


def _count_repeats(frame: pd.DataFrame, file: Path, subject: str) -> dict[int, int]:
    if {"nsd_id", "repeats"} <= set(frame.columns):
        _check_numbers(frame[["nsd_id", "repeats"]], file)
        return dict(zip(frame["nsd_id"], frame["repeats"], strict=True))
    columns = [f"subject{subject.lstrip('0')}_rep{i}" for i in range(3)]
    if not {"nsdId", *columns} <= set(frame.columns) or subject not in PUBLISHED:
        raise DataError(
            f"{file}: has the columns {', '.join(map(str, frame.columns[:8]))}…, expected nsd_id "
            f"and repeats, or NSD's nsdId and {', '.join(columns)}"
        )
    _check_numbers(frame[["nsdId", *columns]], file)
    # Trials count from 1; 0 means none. NSD's table also lists trials of sessions that the subject
    # did not attend.
    last = PUBLISHED[subject].sessions * TRIALS_PER_SESSION
    repeats = ((frame[columns] >= 1) & (frame[columns] <= last)).sum(axis=1)
    return dict(zip(frame["nsdId"], repeats, strict=True))


def _check_numbers(frame: pd.DataFrame, file: Path) -> None:
    for name, column in frame.items():
        if column.dtype.kind not in "iuf":
            raise DataError(
                f"{file}: the column {name} holds {column.dtype}, expected numbers: copy it again"
            )
