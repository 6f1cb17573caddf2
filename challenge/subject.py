"""One subject's folder, read piece by piece and checked as it is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base import content_digests
from challenge.errors import DataError, Findings
from challenge.files import check_finite, column_fault, open_responses, row_fault
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
from challenge.pictures.listing import list_pictures, nsd_ids
from challenge.rois.regions import Roi, check_distinct, read_mask, read_rois, with_residual


@dataclass(frozen=True)
class Subject:
    """A subject of the challenge, whose files are read only when a method needs them.

    Attributes
    ----------
    folder : Path
        The folder `subj01`, `subj02` and so on.
    ceilings : Path, optional
        A folder of noise ceilings that were computed for these data, with subj01 and so on; they
        take precedence over those in `folder`.

    Examples
    --------
    >>> subject = Subject("data/subj01")
    >>> subject.responses("lh").shape  # training pictures, vertices
    (40, 60)
    >>> [roi.name for roi in subject.regions("lh")][:3]
    ['V1v', 'V1d', 'V2v']
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
        return any((folder / SIMULATION).is_file() for folder in (self.folder, self.folder.parent))

    @property
    def has_test_responses(self) -> bool:
        """Whether both hemispheres have files of responses to the test pictures."""
        return all(responses_file(self.folder, h, "test").is_file() for h in HEMISPHERES)

    def pictures(self, split: str) -> list[Path]:
        """Return the stimuli, in the order of the responses' rows.

        Parameters
        ----------
        split : str
            "train" or "test".

        Returns
        -------
        list of Path
            The files, sorted by the indices in their names.

        Raises
        ------
        DataError
            If pictures are missing, or their names do not determine their rows.
        """
        return list_pictures(pictures_folder(self.folder, split), split)

    def nsd_ids(self, split: str) -> np.ndarray:
        """Return the NSD ids of the stimuli, from the names of their files.

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
        """Return the digests of the stimuli's files.

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
        """Return the digests of the masks of vertices and regions.

        Returns
        -------
        dict of str to str
            The sha256 of each file of `roi_masks`, by its name.
        """
        folder = vertices_file(self.folder, HEMISPHERES[0]).parent
        files = sorted(file for file in folder.glob("*.npy") if not file.name.startswith("."))
        return dict(zip((file.name for file in files), content_digests(files), strict=True))

    def n_vertices(self, hemisphere: str) -> int:
        """Return the number of measured vertices.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        int
            The number of columns of the responses: by the mask, or without a mask by the responses
            themselves or the noise ceilings.
        """
        if vertices_file(self.folder, hemisphere).is_file():
            return int(read_mask(self.folder, hemisphere).sum())
        # Without the mask, only the positions of the columns on fsaverage are unknown.
        responses = [responses_file(self.folder, hemisphere, split) for split in SPLITS]
        if existing := next((file for file in responses if file.is_file()), None):
            return open_responses(existing).shape[1]
        ceilings = [self.ceiling_file(hemisphere, split) for split in SPLITS]
        if existing := next((file for file in ceilings if file.is_file()), None):
            return _read_ceilings(existing, None).size
        return open_responses(responses[0]).shape[1]  # raises an error on the missing file

    def responses(self, hemisphere: str, split: str = "train") -> np.memmap:
        """Open the responses without reading them into memory.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        split : str
            "train" or "test"; the organisers have not published the test responses.

        Returns
        -------
        np.memmap (n_images, n_vertices) of float32
            The responses, in units of a session's standard deviation, read-only.

        Raises
        ------
        DataError
            If the file is missing or damaged, or its numbers of rows and columns are not those of
            pictures and vertices.
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
        """Check that the responses hold no NaN or infinite values, reading blocks of rows.

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
        """Return the file of the noise ceilings, in `ceilings` if it exists there.

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
            file = ceiling_file(self.ceilings / self.folder.name, hemisphere, split)
            if file.is_file():
                return file
        return ceiling_file(self.folder, hemisphere, split)

    def noise_ceiling(self, hemisphere: str, split: str = "test") -> np.ndarray | None:
        """Read the noise ceilings, if there is a file of them.

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
            If their number is not that of the vertices, or a ceiling is not a number in 0..1.
        """
        file = self.ceiling_file(hemisphere, split)
        if not file.is_file():
            return None
        return _read_ceilings(file, self.n_vertices(hemisphere))

    def rois(self, hemisphere: str) -> list[Roi]:
        """Read the vertices of every region of interest.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        list of Roi
            Every named region, class by class in the order of `ROI_CLASSES`, including empty ones.
            All regions of a class without any file are empty.

        Raises
        ------
        DataError
            If files of a class are missing or damaged; the message lists all faults.
        """
        n_vertices = self.n_vertices(hemisphere)
        findings, rois = Findings(), list[Roi]()
        for roi_class in ROI_CLASSES:
            location = (self.folder, hemisphere, roi_class)
            rois += findings.attempt(read_rois, *location, n_vertices) or []
        if findings.faults:
            raise DataError("\n".join(findings.faults))
        return rois

    def regions(self, hemisphere: str) -> list[Roi]:
        """Read the groups of vertices to model: the nonempty ROIs, and the remaining vertices.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".

        Returns
        -------
        list of Roi
            Nonempty regions; every vertex is in at least one.

        Raises
        ------
        DataError
            If two regions have one name, under which their models would be saved.
        """
        rois = self.rois(hemisphere)
        check_distinct(self.folder, rois)
        return with_residual(rois, self.n_vertices(hemisphere), hemisphere)


def _read_ceilings(file: Path, n_vertices: int | None) -> np.ndarray:
    # Fits read none.
    from challenge.ceilings.noise_ceiling import read_ceilings

    return read_ceilings(file, n_vertices)
