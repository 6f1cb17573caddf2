"""One subject's folder, read piece by piece and checked as it is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base import content_digests
from challenge.ceilings.noise_ceiling import read_ceilings
from challenge.errors import DataError
from challenge.files.arrays import check_finite
from challenge.layout import (
    FOLDER_NAME,
    HEMISPHERES,
    ROI_CLASSES,
    SIMULATION,
    SPLITS,
    ceiling_file,
    pictures_folder,
    responses_file,
    vertices_file,
)
from challenge.pictures.decoding import nsd_ids
from challenge.pictures.listing import list_pictures
from challenge.responses import column_fault, open_responses, row_fault
from challenge.rois.regions import Roi, check_distinct, read_mask, read_rois, with_residual


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.ceilings is not None:
            object.__setattr__(self, "ceilings", Path(self.ceilings))

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
            The files, by the indices in their names.

        Raises
        ------
        DataError
            If pictures are missing, or their names do not say which row each has.
        """
        return list_pictures(pictures_folder(self.folder, split), split)

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
        """Count the vertices that were measured.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        int
            The number of columns of the responses: by the mask; where there is none, by the
            responses themselves, or by the noise ceilings.
        """
        if vertices_file(self.folder, hemisphere).is_file():
            return int(read_mask(self.folder, hemisphere).sum())
        # Only maps need to know where on fsaverage the columns are.
        responses = [responses_file(self.folder, hemisphere, split) for split in SPLITS]
        if existing := next((file for file in responses if file.is_file()), None):
            return open_responses(existing).shape[1]
        ceilings = [self.ceiling_file(hemisphere, split) for split in SPLITS]
        if existing := next((file for file in ceilings if file.is_file()), None):
            return read_ceilings(existing, None).size
        return open_responses(responses[0]).shape[1]  # which says what is missing

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
        values = open_responses(file)
        faults = [
            row_fault(file, values, self.folder, split, len(self.pictures(split))),
            column_fault(file, values, self.folder, hemisphere, self.n_vertices(hemisphere)),
        ]
        if any(faults):
            raise DataError("\n".join(filter(None, faults)))
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
            The ceilings, fractions in 0..1, and 0 below `SMALLEST_CEILING`; None without a file.

        Raises
        ------
        DataError
            If there are not as many as vertices, or they are not numbers, or not in 0..1.
        """
        file = self.ceiling_file(hemisphere, split)
        if not file.is_file():
            return None
        return read_ceilings(file, self.n_vertices(hemisphere))

    def rois(self, hemisphere: str) -> list[Roi]:
        """Find the vertices of every region of interest.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        list of Roi
            Every named region, class by class in the order of `ROI_CLASSES`, empty ones too. A
            class of which no file is there has only empty ones.

        Raises
        ------
        DataError
            If files of a class are missing or damaged; the message lists all that is wrong.
        """
        n_vertices = self.n_vertices(hemisphere)
        rois: list[Roi] = []
        faults: list[str] = []
        for roi_class in ROI_CLASSES:
            try:
                rois += read_rois(self.folder, hemisphere, roi_class, n_vertices)
            except DataError as error:
                faults.append(str(error))
        if faults:
            raise DataError("\n".join(faults))
        return rois

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

        Raises
        ------
        DataError
            If two have one name, under which their models would be saved.
        """
        rois = self.rois(hemisphere)
        check_distinct(self.folder, rois)
        return with_residual(rois, self.n_vertices(hemisphere), hemisphere)
