"""One hemisphere of one subject: its fits, checked to be of these data and to belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import sha256_files
from challenge import Subject
from evaluate.errors import EvaluateError
from evaluate.fits import RoiModel, Run


@dataclass(frozen=True)
class Hemisphere:
    """The ROI models of one hemisphere of one subject, with what they share.

    Parameters
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

    @property
    def n_vertices(self) -> int:
        """The number of columns of this hemisphere's responses."""
        return self.subject.n_vertices(self.name)

    def measured(self, split: str) -> NDArray[np.float32]:
        """Read the responses that one split's predictions are of.

        Parameters
        ----------
        split : str
            "test" or "heldout".

        Returns
        -------
        array (n_images, n_vertices), float32
            The responses; those of the test split are mapped, not read.
        """
        if split == "test":
            return self.subject.responses(self.name, "test")
        return np.asarray(self.subject.responses(self.name, "train")[self.heldout_rows])

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

        Parameters
        ----------
        index : int
            Its place in `models`.
        split : str
            "test" or "heldout".

        Returns
        -------
        array (n_images, n_roi_vertices), float32
            The predictions.

        Raises
        ------
        EvaluateError
            If there are not as many as pictures and vertices, or they are not finite.
        """
        model = self.models[index]
        predicted = model.predictions(split)
        expected = (self.n_images(split), len(self.vertices[index]))
        if predicted.shape != expected:
            raise EvaluateError(
                f"{model.path}: {split}_predictions has shape {predicted.shape}, expected "
                f"{expected} (pictures, vertices): remove the file and run make fit again"
            )
        return predicted

    def n_images(self, split: str) -> int:
        """Count the pictures of a split.

        Parameters
        ----------
        split : str
            "test" or "heldout".

        Returns
        -------
        int
            How many.
        """
        return len(self.subject.pictures("test") if split == "test" else self.heldout_rows)

    def indices(self, run: Run) -> list[int]:
        """Find the models of one run.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        list of int
            Their places in `models`.
        """
        return [i for i, model in enumerate(self.models) if model.run == run.name]


def response_digest(subject: Subject, hemisphere: str, split: str = "train") -> str:
    """Digest the file of a hemisphere's responses.

    Parameters
    ----------
    subject : Subject
        Whose.
    hemisphere : str
        "lh" or "rh".
    split : str
        "train" or "test".

    Returns
    -------
    str
        The sha256, in hexadecimal.
    """
    return sha256_files([Path(str(subject.responses(hemisphere, split).filename))])[0]


def load_hemisphere(
    subject: Subject, name: str, runs: Sequence[Run], responses: str
) -> Hemisphere | None:
    """Gather the fits of one hemisphere and check what they were made from.

    Parameters
    ----------
    subject : Subject
        Whose.
    name : str
        "lh" or "rh".
    runs : sequence of Run
        The fits of all subjects.
    responses : str
        The digest of this hemisphere's training responses, from `response_digest`.

    Returns
    -------
    Hemisphere or None
        None if no run has a fit of it.

    Raises
    ------
    EvaluateError
        If a fit is of other responses than those on disk; and, likewise, of other test pictures
        or vertices, or if the fits held different pictures out.
    """
    models = tuple(
        model
        for run in runs
        for model in run.models
        if (model.meta["subject"], model.meta["hemisphere"]) == (subject.name, name)
    )
    if not models:
        return None
    for model in models:
        if model.meta["responses"] != responses:
            raise EvaluateError(
                _stale(model, f"the training responses of {subject.folder} changed")
            )
    pictures = np.array(subject.picture_digests("test"), dtype="S64")
    n_training = len(subject.responses(name, "train"))
    rois = {(roi.roi_class, roi.name): roi.vertices for roi in subject.rois(name)}
    shared: dict[str, NDArray[Any]] = {}
    vertices = []
    for model in models:
        arrays = model.read("vertices", "heldout_rows", "test_pictures", "training_pictures")
        _check_pictures(model, arrays, pictures, n_training)
        _check_vertices(model, arrays["vertices"], rois, subject.n_vertices(name))
        _check_heldout(models[0], model, shared or arrays, arrays)
        shared = shared or arrays
        vertices.append(arrays["vertices"])
    return Hemisphere(
        subject=subject,
        name=name,
        models=models,
        vertices=tuple(vertices),
        heldout_rows=shared["heldout_rows"],
        heldout_pictures=shared["training_pictures"][shared["heldout_rows"]],
    )


def _stale(model: RoiModel, since: str) -> str:
    return (
        f"{model.path}: is stale, {since} since this fit: run make fit again, or leave it out "
        f"by naming the others with --fits (its run is {model.run})"
    )


def _check_pictures(
    model: RoiModel, arrays: dict[str, NDArray[Any]], test: NDArray[np.bytes_], n_training: int
) -> None:
    if not np.array_equal(arrays["test_pictures"], test):
        now = f"{len(test)} pictures, in another order or others than its "
        raise EvaluateError(
            _stale(model, f"the test split has {now}{len(arrays['test_pictures'])}: they changed")
        )
    if len(arrays["training_pictures"]) != n_training:
        now = f"the training split has {n_training} pictures, not its "
        raise EvaluateError(_stale(model, f"{now}{len(arrays['training_pictures'])}: they changed"))


def _check_vertices(
    model: RoiModel,
    vertices: NDArray[np.int64],
    rois: dict[tuple[str, str], NDArray[np.int64]],
    n_vertices: int,
) -> None:
    inside = len(vertices) > 0 and vertices.min() >= 0 and vertices.max() < n_vertices
    if model.roi_class != "residual":
        roi = rois.get((model.roi_class, model.roi))
        inside = inside and roi is not None and np.array_equal(np.sort(vertices), np.sort(roi))
    if not inside:
        now = f"its {len(vertices)} vertices are not those of its ROI's mask: masks changed"
        raise EvaluateError(_stale(model, now))


def _check_heldout(
    first: RoiModel,
    other: RoiModel,
    expected: dict[str, NDArray[Any]],
    found: dict[str, NDArray[Any]],
) -> None:
    if np.array_equal(expected["heldout_rows"], found["heldout_rows"]):
        return
    raise EvaluateError(
        f"{first.path} and {other.path} held out different pictures "
        f"({len(expected['heldout_rows'])} and {len(found['heldout_rows'])}), so their accuracies "
        "cannot be compared: fit both with the same seed and held-out share, or choose one of "
        f"{first.run} and {other.run} with --fits"
    )
