"""The ROI models of one subject's hemisphere, checked against the data and against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from challenge import Subject
from evaluate.arrays import Floats, Indices, Singles
from evaluate.errors import EvaluateError
from evaluate.fits.runs import RoiModel, Run
from evaluate.fits.up_to_date import check_fits


@dataclass(frozen=True)
class Hemisphere:
    """ROI models of one hemisphere of a subject, their vertices and their held-out pictures."""

    subject: Subject
    name: str  # "lh" or "rh"
    models: tuple[RoiModel, ...]  # of one run or several
    vertices: tuple[Indices, ...]  # of each model, columns of the responses
    heldout_rows: Indices  # rows of the training split that all models held out
    heldout_pictures: NDArray[np.bytes_]  # sha256 of their files, (n_heldout,), S64

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """The names of the models' runs, in the order of the models."""
        return tuple(dict.fromkeys(model.run for model in self.models))

    @property
    def n_vertices(self) -> int:
        """The number of columns of this hemisphere's responses."""
        return self.subject.n_vertices(self.name)

    def measured(self, split: str) -> Singles:
        """Read the finite responses of "test" or "heldout" pictures: (n_images, n_vertices).

        Those of the test split are memory-mapped.
        """
        if split == "test":
            self.subject.check_finite(self.name, "test")
            return self.subject.responses(self.name, "test")
        held_out = np.asarray(self.subject.responses(self.name, "train")[self.heldout_rows])
        if not np.isfinite(held_out).all():
            # Names the first such row by its place in the file.
            self.subject.check_finite(self.name, "train")
        return held_out

    def ceiling(self, split: str) -> Floats | None:
        """Read the noise ceilings, fractions (n_vertices,); None if there is no file.

        Held-out pictures have those of the training split.
        """
        return self.subject.noise_ceiling(self.name, "test" if split == "test" else "train")

    def predictions(self, index: int, split: str) -> Singles:
        """Read the predictions of model `index`: (n_images, n_roi_vertices), float32."""
        model = self.models[index]
        predicted = model.predictions(split)
        expected = (self.n_images(split), len(self.vertices[index]))
        if predicted.shape != expected:
            raise EvaluateError(
                f"{model.path}: {split}_predictions has shape {predicted.shape}, expected "
                f"{expected} (pictures, vertices): remove the file and run "
                f"{model.fit_command} again"
            )
        return predicted

    def pictures(self, split: str) -> NDArray[np.bytes_]:
        """Return the sha256 of each row's picture file: (n_images,), S64."""
        if split == "heldout":
            return self.heldout_pictures
        return np.array(self.subject.picture_digests("test"), "S64")

    def n_images(self, split: str) -> int:
        """Count the pictures of a split."""
        return self._n_test if split == "test" else len(self.heldout_rows)

    @cached_property
    def _n_test(self) -> int:
        return len(self.subject.pictures("test"))

    def indices(self, run: Run) -> list[int]:
        """Return the indices of the models of one run."""
        return [i for i, model in enumerate(self.models) if model.run == run.name]


def load_hemisphere(
    subject: Subject, name: str, runs: Sequence[Run], responses: str
) -> Hemisphere | None:
    """Load the models of one hemisphere and check them against the data; None if there are none.

    `responses` is the sha256 of the training responses on disk.
    """
    models = tuple(model for run in runs for model in run.models_of(subject.name, name))
    if not models:
        return None
    vertices, rows, pictures = check_fits(subject, name, models, responses)
    return Hemisphere(subject, name, models, tuple(vertices), rows, pictures)
