"""Count what a unit fits, from headers, masks and names; no arrays are read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from challenge import Roi, Subject
from regress.data.design import empty_design
from regress.data.vertex_columns import make_layout, spans
from regress.errors import RegressError
from regress.fitting.request import FitRequest
from regress.fitting.settings import Job


@dataclass(frozen=True)
class Part:
    """The size of what one unit fits for one subject.

    Attributes
    ----------
    n_images, n_test, n_held, n_features : int
        Training pictures, test pictures, held-out training pictures; columns of the features.
    n_vertices : int
        Vertices in the hemispheres' files.
    n_columns : int
        Vertices to fit; a vertex in several groups counts once for each.
    n_saved : int
        Vertices to save; a vertex in several ROIs counts once for each.
    n_rois : int
        Models to fit.
    n_known : int
        Models that exist already.
    bands : tuple of int
        The number of columns of each band.
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
        """Number of pictures of the search."""
        return self.n_images - self.n_held


def list_parts(request: FitRequest) -> list[list[list[Part]]]:
    """List the parts of a request, by group, unit and subject; no features are read."""
    return [
        [
            [
                _part(request, subject, rois, span)
                for subject, rois in zip(group, request.missing(number, unit), strict=True)
            ]
            for unit, span in enumerate(spans(request.settings.group_by))
        ]
        for number, group in enumerate(request.groups)
    ]


def _part(request: FitRequest, subject: Subject, rois: Sequence[Roi], span: Sequence[str]) -> Part:
    design = empty_design(subject, request.entries)
    settings = request.settings
    job = Job(subject, design, settings, request.estimator, request.folder)
    rois_of_span = [roi for hemisphere in span for roi in subject.regions(hemisphere)]
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
        n_columns=len(make_layout(rois, job.grouping).vertices) if rois else 0,
        n_saved=sum(len(roi.vertices) for roi in rois),
        n_rois=len(rois),
        n_known=len(rois_of_span) - len(rois),
        bands=tuple(np.bincount(design.bands).tolist()),
    )


def fit_bytes(part: Part) -> int:
    """Return the bytes of the models: coefficients, predictions and names of pictures."""
    row_bytes = 4 * (part.n_features + len(part.bands) + 4 + part.n_held + part.n_test)
    names = 64 * (part.n_images + part.n_test) + 8 * part.n_held + 6_000
    return part.n_saved * row_bytes + part.n_rois * names


def rate_digest(*values: object) -> str:
    """Return a digest of the values that a rate depends on."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
