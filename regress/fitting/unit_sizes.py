"""The sizes of what a unit fits, from headers, masks and names; no arrays are read."""

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
    """The size of what one unit fits for one subject."""

    # Training pictures, with the held-out ones; test pictures; held-out pictures.
    n_images: int
    n_test: int
    n_held: int
    # Vertices in the hemispheres' files; to fit, once for each group; to save, once for each ROI.
    n_vertices: int
    n_columns: int
    n_saved: int
    # Models to fit, and models that exist already.
    n_rois: int
    n_known: int
    # The number of columns of each band of the features.
    bands: tuple[int, ...]

    @property
    def n_features(self) -> int:
        """Columns of the features."""
        return sum(self.bands)

    @property
    def n_inside(self) -> int:
        """Pictures of the search."""
        return self.n_images - self.n_held

    @property
    def disk(self) -> int:
        """Bytes of the models: coefficients, predictions and names of pictures."""
        numbers = self.n_features + len(self.bands) + 4 + self.n_held + self.n_test
        names = 64 * (self.n_images + self.n_test) + 8 * self.n_held + 6_000
        return 4 * self.n_saved * numbers + self.n_rois * names


def list_parts(request: FitRequest) -> list[list[list[Part]]]:
    """List the parts of a request, by group, unit and subject; no features are read."""
    groups = []
    for number, group in enumerate(request.groups):
        units = []
        for unit, span in enumerate(spans(request.settings.group_by)):
            missing = zip(group, request.missing(number, unit), strict=True)
            units.append([_part(request, subject, rois, span) for subject, rois in missing])
        groups.append(units)
    return groups


def _part(request: FitRequest, subject: Subject, rois: Sequence[Roi], span: Sequence[str]) -> Part:
    design, settings = empty_design(subject, request.entries), request.settings
    job = Job(subject, design, settings, request.estimator, request.folder)
    n_pictures = len(design.train)
    n_images, n_held = settings.images or n_pictures, round(settings.heldout * n_pictures)
    if settings.images and not 2 <= n_images <= n_pictures - n_held:
        raise RegressError(
            f"--images {n_images}: expected from 2 to about {n_pictures - n_held}, which is "
            f"how many of {n_pictures} training pictures are not held out"
        )
    return Part(
        n_images=n_images,
        n_test=len(design.test),
        n_held=n_held,
        n_vertices=sum(subject.responses(h).shape[1] for h in span),
        n_columns=len(make_layout(rois, job.grouping).vertices) if rois else 0,
        n_saved=sum(len(roi.vertices) for roi in rois),
        n_rois=len(rois),
        n_known=sum(len(subject.regions(h)) for h in span) - len(rois),
        bands=tuple(np.bincount(design.bands).tolist()),
    )
