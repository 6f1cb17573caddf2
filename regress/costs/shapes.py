"""What is to be fitted, in numbers: read from headers, masks and names, never from arrays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from challenge import Roi, Subject
from regress.data.design import empty_design
from regress.data.vertex_columns import lay_out, spans
from regress.errors import RegressError
from regress.fitting.request import Asked
from regress.fitting.settings import Job


@dataclass(frozen=True)
class Part:
    """What one unit fits, in numbers.

    Attributes
    ----------
    n_images, n_test, n_held, n_features : int
        Training pictures, test pictures, training pictures that are held out; columns.
    n_vertices : int
        Of the hemispheres' files.
    n_columns : int
        Of vertices as they are fitted, one in several groups so often as it is in them.
    n_saved : int
        The same as they are saved: in each ROI.
    n_rois : int
        Models that are to be fitted.
    n_known : int
        Models that are there already.
    bands : tuple of int
        The columns of each band.
    """

    n_images: int
    n_test: int
    n_held: int
    n_features: int
    n_vertices: int
    n_columns: int
    n_saved: int
    n_rois: int
    n_known: int
    bands: tuple[int, ...]

    @property
    def n_inside(self) -> int:
        """Pictures that the search sees."""
        return self.n_images - self.n_held


def parts_of(asked: Asked) -> list[list[list[Part]]]:
    """Say what the units of a command fit; no features are read.

    Returns
    -------
    list of list of list of Part
        Of each group, each unit, each subject of the group.
    """
    return [
        [
            [
                _part(asked, subject, rois, span)
                for subject, rois in zip(group, asked.missing(number, unit), strict=True)
            ]
            for unit, span in enumerate(spans(asked.settings.group_by))
        ]
        for number, group in enumerate(asked.groups)
    ]


def _part(asked: Asked, subject: Subject, rois: Sequence[Roi], span: Sequence[str]) -> Part:
    design = empty_design(subject, asked.entries)
    settings = asked.settings
    job = Job(subject, design, settings, asked.estimator, asked.folder)
    every = [roi for hemisphere in span for roi in subject.regions(hemisphere)]
    n_images = settings.images or len(design.train)
    n_held = round(settings.heldout * len(design.train))
    if settings.images and not 2 <= n_images <= len(design.train) - n_held:
        raise RegressError(
            f"--images {n_images}: expected from 2 to about {len(design.train) - n_held}, which is "
            f"how many of {len(design.train)} training pictures are not held out"
        )
    return Part(
        n_images=n_images,
        n_test=len(design.test),
        n_held=n_held,
        n_features=design.train.shape[1],
        n_vertices=sum(subject.responses(h).shape[1] for h in span),
        n_columns=len(lay_out(rois, job.grouping).vertices) if rois else 0,
        n_saved=sum(len(roi.vertices) for roi in rois),
        n_rois=len(rois),
        n_known=len(every) - len(rois),
        bands=tuple(np.bincount(design.bands).tolist()),
    )


def fit_bytes(part: Part) -> int:
    """Say how much disk the models of a unit take.

    Returns
    -------
    int
        Bytes: coefficients, predictions of held-out and test pictures, names of pictures.
    """
    each = 4 * (part.n_features + len(part.bands) + 4 + part.n_held + part.n_test)
    names = 64 * (part.n_images + part.n_test) + 8 * part.n_held + 6_000
    return part.n_saved * each + part.n_rois * names


def digest_of(*what: object) -> str:
    """Name what a rate depends on."""
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
