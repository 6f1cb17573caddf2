"""One hemisphere of one subject: its fits, checked to be of these data and to belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from challenge import Subject
from evaluate.errors import EvaluateError
from evaluate.fits.runs import RoiModel, Run
from evaluate.fits.up_to_date import check_fits


@dataclass(frozen=True)
class Hemisphere:
    """The ROI models of one hemisphere of one subject, with what they share.

    Attributes
    ----------
    subject : Subject
        Whose.
    name : str
        "lh" or "rh".
    models : tuple of RoiModel
        The fits, of one run or several.
    vertices : tuple of array (n_roi_vertices,), int64
        For each of them, its columns of this hemisphere's responses.
    heldout_rows : array (n_heldout,), int64
        The rows of the training split that no fit saw when it predicted them.
    heldout_pictures : array (n_heldout,), S64
        The sha256 of their picture files.
    """

    subject: Subject
    name: str
    models: tuple[RoiModel, ...]
    vertices: tuple[NDArray[np.int64], ...]
    heldout_rows: NDArray[np.int64]
    heldout_pictures: NDArray[np.bytes_]

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs that the models are of, in their order."""
        return tuple(dict.fromkeys(model.run for model in self.models))

    @property
    def n_vertices(self) -> int:
        """The number of columns of this hemisphere's responses."""
        return self.subject.n_vertices(self.name)

    def measured(self, split: str) -> NDArray[np.float32]:
        """Read the responses that one split's predictions are of.

        Returns
        -------
        array (n_images, n_vertices), float32
            The responses, finite; those of the test split are mapped, not kept in memory.
        """
        if split == "test":
            self.subject.check_finite(self.name, "test")
            return self.subject.responses(self.name, "test")
        held_out = np.asarray(self.subject.responses(self.name, "train")[self.heldout_rows])
        if not np.isfinite(held_out).all():
            # Looks through all rows, to name the first by its place in the file.
            self.subject.check_finite(self.name, "train")
        return held_out

    def ceiling(self, split: str) -> NDArray[np.float64] | None:
        """Read the noise ceilings for one split.

        Parameters
        ----------
        split : str
            "test" or "heldout", which has the ceilings of the training pictures.

        Returns
        -------
        array (n_vertices,), float64, or None
            Fractions in 0..1; None where there are none.
        """
        return self.subject.noise_ceiling(self.name, "test" if split == "test" else "train")

    def predictions(self, index: int, split: str) -> NDArray[np.float32]:
        """Read what one model predicted.

        Returns
        -------
        array (n_images, n_roi_vertices), float32
            The predictions.
        """
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
        """Name the pictures of a split by their content.

        Returns
        -------
        array (n_images,), S64
            The sha256 of each row's picture file.
        """
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
        """Find the models of one run."""
        return [i for i, model in enumerate(self.models) if model.run == run.name]


def load_hemisphere(
    subject: Subject, name: str, runs: Sequence[Run], responses: str
) -> Hemisphere | None:
    """Gather the fits of one hemisphere and check what they were made from."""
    models = tuple(
        model
        for run in runs
        for model in run.models
        if (model.meta["subject"], model.meta["hemisphere"]) == (subject.name, name)
    )
    if not models:
        return None
    vertices, rows, pictures = check_fits(subject, name, models, responses)
    return Hemisphere(
        subject=subject,
        name=name,
        models=models,
        vertices=tuple(vertices),
        heldout_rows=rows,
        heldout_pictures=pictures,
    )
