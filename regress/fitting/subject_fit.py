"""The fit of one subject: columns, pictures, and an ROI's file once its last vertex is fitted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from challenge import Roi
from regress.data.picture_splits import Division
from regress.data.responses import Responses
from regress.data.vertex_columns import make_layout, roi_key
from regress.encoding_model import Encoder
from regress.fitting.fit_files import predict_test, save_fit
from regress.fitting.settings import Job
from regress.fitting.up_to_date import ModelFiles

if TYPE_CHECKING:
    from regress.adversarial import VertexGeometry

Rows = NDArray[np.int64]


class SubjectFit:
    """The fit of one subject's models of one span, alone or together with other subjects.

    Parameters
    ----------
    job : Job
        Subject, features and settings.
    files : ModelFiles
        The files of the span's models.
    rois : sequence of Roi
        The ROIs to fit.
    division : Division
        The pictures to fit on and those to hold out.

    Attributes
    ----------
    layout : Layout
        The vertices of these ROIs in columns.
    heldout : array of float32 (n_held_images, n_columns)
        Predictions for the held-out pictures, to be filled in before a batch is added.
    n_tested : int
        Test pictures that the start of the training was trained on; saved with the cost.
    """

    def __init__(
        self, job: Job, files: ModelFiles, rois: Sequence[Roi], division: Division
    ) -> None:
        self.job, self.files, self.rois, self.division = job, files, rois, division
        self.layout = make_layout(rois, job.grouping)
        n_columns = len(self.layout.vertices)
        self.heldout = np.empty((int(division.held.sum()), n_columns), np.float32)
        self._pending, self._is_fitted = list(rois), np.zeros(n_columns, bool)
        # Number, model and each column's position in the model, of batches with pending ROIs.
        self._batches: list[tuple[int, Encoder, Rows]] = []
        self._n_batches = 0
        self.n_tested = 0

    def pictures(self, mask: NDArray[np.bool_]) -> list[str]:
        """Return the sha256 of the training pictures that a mask (n_images,) selects."""
        names = self.job.design.training_pictures
        return [name for name, selected in zip(names, mask, strict=True) if selected]

    def responses(self, columns: Rows) -> Responses:
        """Open the responses of some columns to all training pictures."""
        span, layout = self.files.span, self.layout
        sources = [self.job.subject.responses(hemisphere) for hemisphere in span]
        starts = np.cumsum([0, *(source.shape[1] for source in sources)])
        vertices = layout.vertices[columns].copy()
        for hemisphere, start in zip(span, starts[:-1], strict=True):
            vertices[layout.hemispheres[columns] == hemisphere] += start
        return Responses(sources, vertices, digest=self.files.responses_digest())

    def vertex_parameters(self, columns: Rows) -> dict[str, NDArray]:
        """Return the estimator's parameters that have one entry per vertex."""
        defaults = self.job.estimator.get_params()
        parameters: dict[str, NDArray] = {}
        if self.layout.groups is not None:
            groups = self.layout.groups[columns]
            # Trainings get the groups' names, for their logs.
            streams = self.job.estimator.streams
            parameters["scope"] = np.array(self.layout.names)[groups] if streams else groups
        if defaults.get("common_readout"):
            parameters["homes"] = self._homes(columns)
        if "positions" in defaults:
            # It needs torch, which ridge does not.
            from regress.data.fsaverage_positions import positions_of

            at = self.layout.hemispheres[columns], self.layout.vertices[columns]
            parameters["positions"] = positions_of(self.job.subject, defaults["surface"], *at)
        return parameters

    def _homes(self, columns: Rows) -> NDArray[np.str_]:
        """Name the group and the fsaverage vertex of each column, as "group hemisphere vertex"."""
        # Ridge needs no places on fsaverage.
        from challenge.fsaverage import fsaverage_vertices

        layout, subject = self.layout, self.job.subject
        assert layout.groups is not None
        vertices = np.empty(len(columns), np.int64)
        for hemisphere in self.files.span:
            mask = layout.hemispheres[columns] == hemisphere
            native = layout.vertices[columns[mask]]
            vertices[mask] = fsaverage_vertices(subject, hemisphere)[native]
        names = np.array(layout.names)[layout.groups[columns]]
        parts = zip(names, layout.hemispheres[columns], vertices, strict=True)
        return np.array([f"{name} {hemisphere} {vertex}" for name, hemisphere, vertex in parts])

    def sheet(self, columns: Rows) -> "VertexGeometry":
        """Return the cortical sheet of some columns, for models with critics."""
        from challenge.fsaverage import fsaverage_vertices
        from regress.adversarial import VertexGeometry

        subject = self.job.subject
        on_fsaverage = {h: fsaverage_vertices(subject, h) for h in self.files.span}
        return VertexGeometry.from_layout(self.layout, columns, on_fsaverage)

    def add_batch(self, model: Encoder, columns: Rows, start: int) -> None:
        """Add a fitted batch, whose model has these columns from `start` on; save complete ROIs."""
        positions = np.full(len(self._is_fitted), -1)
        positions[columns] = start + np.arange(len(columns))
        self._batches.append((self._n_batches, model, positions))
        self._n_batches += 1
        self._is_fitted[columns] = True
        complete = [r for r in self._pending if self._is_fitted[self._roi_columns(r)].all()]
        self._pending = [roi for roi in self._pending if roi not in complete]
        batch_test: dict[str, NDArray] = {}
        if model.together:
            # Pictures pass the layers that all vertices share once, not once for each ROI.
            state = model.state(start + np.arange(len(columns)))
            batch_test = predict_test(self._restore(state), self.job.design.test)
        # The file of an ROI that is fitted alone holds all arrays itself.
        shared_names = model.shared_names() if len(complete) > 1 else []
        for roi in complete:
            roi_columns = self._roi_columns(roi)
            state = self._state(roi_columns)
            selection = positions[roi_columns] - start
            test = {name: values[:, selection] for name, values in batch_test.items()}
            save_fit(
                self.job,
                roi,
                state,
                shared_names,
                test or predict_test(self._restore(state), self.job.design.test),
                self._cost(roi_columns),
                self.heldout[:, roi_columns],
                self.division.held,
                self.files,
            )
        # Models of which no pending ROI needs a column are dropped, to free their memory.
        needed = np.zeros(len(self._is_fitted), bool)
        for roi in self._pending:
            needed[self._roi_columns(roi)] = True
        self._batches = [batch for batch in self._batches if (batch[2][needed] >= 0).any()]

    def _roi_columns(self, roi: Roi) -> Rows:
        return self.layout.columns[roi_key(roi)]

    def _restore(self, state: dict[str, NDArray]) -> Encoder:
        encoder: Encoder = type(self.job.estimator)(**self.job.settings.parameters).restore(state)
        return encoder

    def _state(self, columns: Rows) -> dict[str, NDArray]:
        """Return the arrays of some columns, which may be spread over several batches."""
        parts = []
        for _, model, positions in self._batches:
            mask = positions[columns] >= 0
            if mask.any():
                parts.append((np.flatnonzero(mask), model.state(positions[columns][mask])))
        if len(parts) == 1:
            return parts[0][1]
        return self.job.estimator.join(parts)

    def _cost(self, columns: Rows) -> dict[str, Any]:
        """Return size and duration of the fit of some columns; each batch is a named training."""
        name = self.files.training
        parameters, n_shared, epochs, seconds = 0, 0, [], {}
        for number, model, positions in self._batches:
            vertices = positions[columns]
            if (vertices >= 0).any():
                cost = model.cost(vertices[vertices >= 0])
                parameters += cost["parameters"]
                n_shared += cost.get("shared_parameters", 0)
                epochs.append(cost["epochs"])
                seconds[f"{name}.{number}"] = cost["seconds_per_epoch"]
        max_epochs = None if None in epochs else max(epochs)
        extras = {"shared_parameters": n_shared} if n_shared else {}
        extras |= {"weights": cost["weights"]} if "weights" in cost else {}
        extras |= {"start_tested": self.n_tested} if self.n_tested else {}
        return {
            "parameters": parameters,
            **extras,
            "epochs": max_epochs,
            "seconds_per_epoch": seconds,
        }
