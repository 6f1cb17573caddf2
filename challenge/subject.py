"""One subject's folder, read piece by piece and checked as it is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base import content_digests
from challenge.arrays import check_finite, open_array, read_vector
from challenge.errors import DataError
from challenge.layout import (
    FOLDER_NAME,
    HEMISPHERES,
    ROI_CLASSES,
    SIMULATION,
    ceiling_file,
    pictures_folder,
    responses_file,
    vertices_file,
)
from challenge.pictures import list_pictures, nsd_ids
from challenge.rois import Roi, read_mask, read_rois, with_residual


@dataclass(frozen=True)
class Subject:
    """A subject of the challenge; nothing is read before it is asked for.

    Attributes
    ----------
    folder : Path
        The folder `subj01`, `subj02` and so on.
    ceilings : Path, optional
        A folder of noise ceilings that were made for these data, with subj01 and so on; they
        come before the subject's own.
    """

    folder: Path
    ceilings: Path | None = None

    @property
    def name(self) -> str:
        """The subject's number as written in the folder's name, for example "01"."""
        match = FOLDER_NAME.fullmatch(self.folder.name)
        return match[1] if match else self.folder.name

    @property
    def simulated(self) -> bool:
        """Whether the simulator wrote this subject."""
        return any((at / SIMULATION).is_file() for at in (self.folder, self.folder.parent))

    @property
    def has_test_responses(self) -> bool:
        """Whether the responses to the test pictures are there, in both hemispheres."""
        return all(responses_file(self.folder, h, "test").is_file() for h in HEMISPHERES)

    def pictures(self, split: str) -> list[Path]:
        """List the stimuli, in the order of the responses' rows.

        Parameters
        ----------
        split : str
            "train" or "test".

        Returns
        -------
        list of Path
            The files, sorted by name.
        """
        return list_pictures(pictures_folder(self.folder, split))

    def nsd_ids(self, split: str) -> np.ndarray:
        """Read which of NSD's pictures the stimuli are.

        Parameters
        ----------
        split : str
            "train" or "test".

        Returns
        -------
        array (n_images,) of int64
            The ids, from 0, in the order of the responses' rows.
        """
        return nsd_ids(self.pictures(split))

    def picture_digests(self, split: str) -> list[str]:
        """Digest the stimuli's files.

        Parameters
        ----------
        split : str
            "train" or "test".

        Returns
        -------
        list of str
            The sha256 of each file, in the order of the responses' rows.
        """
        return content_digests(self.pictures(split))

    def mask_digests(self) -> dict[str, str]:
        """Digest the files that say where the vertices and regions are.

        Returns
        -------
        dict of str to str
            The sha256 of each file of `roi_masks`, by its name.
        """
        folder = vertices_file(self.folder, HEMISPHERES[0]).parent
        files = sorted(file for file in folder.glob("*.npy") if not file.name.startswith("."))
        return dict(zip((file.name for file in files), content_digests(files), strict=True))

    def n_vertices(self, hemisphere: str) -> int:
        """Count the vertices that were measured, by the mask, or the responses where there is none.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        int
            The number of columns of the responses.
        """
        if not vertices_file(self.folder, hemisphere).is_file():
            # Only maps need to know where on fsaverage the columns are.
            return int(open_array(responses_file(self.folder, hemisphere, "train")).shape[-1])
        return int(read_mask(self.folder, hemisphere).sum())

    def responses(self, hemisphere: str, split: str = "train") -> np.memmap:
        """Open the responses without reading them into memory.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        split : str
            "train" or "test"; the organisers keep the test responses.

        Returns
        -------
        np.memmap (n_images, n_vertices) of float32
            The responses, in units of a session's standard deviation, read-only.

        Raises
        ------
        DataError
            If the file is missing or damaged, or its rows are not the pictures, or its columns
            not the vertices of the mask.
        """
        file = responses_file(self.folder, hemisphere, split)
        values = open_array(file)
        if values.dtype != np.float32 or values.ndim != 2:
            raise DataError(
                f"{file}: {values.dtype} of shape {values.shape}, expected float32, "
                "images x vertices: copy the file again, or convert it with .astype('float32')"
            )
        pictures, vertices = len(self.pictures(split)), self.n_vertices(hemisphere)
        if values.shape[0] != pictures:
            raise DataError(
                f"{file}: {values.shape[0]} rows, expected {pictures}, one for each picture in "
                f"{pictures_folder(self.folder, split)}: copy both again"
            )
        if values.shape[1] != vertices:
            raise DataError(
                f"{file}: {values.shape[1]} columns, expected {vertices}, one for each nonzero "
                f"value in {vertices_file(self.folder, hemisphere).name}: one of them is of "
                "another subject or hemisphere, copy both again"
            )
        return values

    def check_finite(self, hemisphere: str, split: str = "train") -> None:
        """Look through the responses for NaN and infinite values, in blocks of rows.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        split : str
            "train" or "test".
        """
        file = responses_file(self.folder, hemisphere, split)
        check_finite(self.responses(hemisphere, split), file)

    def ceiling_file(self, hemisphere: str, split: str = "test") -> Path:
        """Name the file of the noise ceilings: that in `ceilings` where it is there.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        split : str
            "train" or "test".

        Returns
        -------
        Path
            The file, which need not exist.
        """
        if self.ceilings is not None:
            made = ceiling_file(self.ceilings / self.folder.name, hemisphere, split)
            if made.is_file():
                return made
        return ceiling_file(self.folder, hemisphere, split)

    def noise_ceiling(self, hemisphere: str, split: str = "test") -> np.ndarray | None:
        """Read the noise ceilings, where there are any.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        split : str
            The pictures that the ceilings are for, "train" or "test".

        Returns
        -------
        array (n_vertices,) of float64, or None
            The ceilings, fractions in 0..1; None without a file of them.

        Raises
        ------
        DataError
            If there are not as many as vertices, or they are not finite, or not in 0..1.
        """
        file = self.ceiling_file(hemisphere, split)
        if not file.is_file():
            return None
        length = self.n_vertices(hemisphere)
        ceilings = read_vector(file, length, "the vertices of the all-vertices mask")
        ceilings = ceilings.astype(np.float64)
        if not np.isfinite(ceilings).all():
            raise DataError(
                f"{file}: holds NaN or infinite values, expected fractions in 0..1; write 0 where "
                "there is no ceiling"
            )
        low, high = float(ceilings.min(initial=0)), float(ceilings.max(initial=0))
        if low < 0 or high > 1:
            fix = (
                "percent: divide by 100" if low >= 0 and high <= 100 else "no ceilings: copy again"
            )
            raise DataError(
                f"{file}: values from {low:g} to {high:g}, expected fractions in 0..1; these look "
                f"like {fix}"
            )
        return ceilings

    def rois(self, hemisphere: str) -> list[Roi]:
        """Find the vertices of every region of interest.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        list of Roi
            Every named region, class by class in the order of `ROI_CLASSES`, empty ones too.
        """
        n_vertices = self.n_vertices(hemisphere)
        return [
            roi
            for roi_class in ROI_CLASSES
            for roi in read_rois(self.folder, hemisphere, roi_class, n_vertices)
        ]

    def regions(self, hemisphere: str) -> list[Roi]:
        """Find the groups of vertices that are modelled: ROIs with vertices, and the rest.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        list of Roi
            None of them empty; every vertex is in one at least.
        """
        return with_residual(self.rois(hemisphere), self.n_vertices(hemisphere), hemisphere)
