"""One subject's side of a fit: columns, pictures, and files that are saved when they are whole."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from challenge import Roi
from challenge.fsaverage import fsaverage_vertices
from regress.data.picture_splits import Division
from regress.data.responses import Responses
from regress.data.vertex_columns import lay_out, place
from regress.encoding_model import Encoder
from regress.fitting.fit_files import judge, save_fit
from regress.fitting.settings import Job
from regress.fitting.up_to_date import Present

if TYPE_CHECKING:
    from regress.adversarial import Sheet

Rows = NDArray[np.int64]


class Member:
    """A subject whose models of one or both hemispheres are fitted, alone or with other subjects.

    Parameters
    ----------
    job : Job
        What to fit.
    present : Present
        What is there.
    rois : sequence of Roi
        Those to fit.
    division : Division
        What each picture is for.

    Attributes
    ----------
    layout : Layout
        The vertices of these ROIs in columns.
    heldout : array of float32 (n_held_images, n_columns)
        Predictions for the held-out pictures, written by who fits.
    """

    def __init__(self, job: Job, present: Present, rois: Sequence[Roi], division: Division) -> None:
        self.job, self.present, self.rois, self.division = job, present, rois, division
        self.layout = lay_out(rois, job.grouping)
        n_columns = len(self.layout.vertices)
        self.heldout = np.empty((int(division.held.sum()), n_columns), np.float32)
        self._waiting, self._done = list(rois), np.zeros(n_columns, bool)
        self._fitted: list[tuple[int, Encoder, Rows]] = []
        self._n_taken = 0
        # Test pictures that the start of the training was trained on: kept beside its cost.
        self.n_tested = 0

    def pictures(self, which: NDArray[np.bool_]) -> list[str]:
        """Name training pictures.

        Parameters
        ----------
        which : array of bool (n_images,)
            Which.
        """
        names = self.job.design.training_pictures
        return [name for name, taken in zip(names, which, strict=True) if taken]

    def responses(self, columns: Rows) -> Responses:
        """Open the responses of some columns to all training pictures."""
        span, layout = self.present.span, self.layout
        sources = [self.job.subject.responses(hemisphere) for hemisphere in span]
        starts = np.cumsum([0, *(source.shape[1] for source in sources)])
        which = layout.vertices[columns].copy()
        for hemisphere, start in zip(span, starts[:-1], strict=True):
            which[layout.hemispheres[columns] == hemisphere] += start
        return Responses(sources, which, digest=self.present.responses_digest())

    def told(self, columns: Rows) -> dict[str, NDArray]:
        """Give what a model is told of each vertex, where it has such parameters."""
        parameters = self.job.estimator.get_params()
        told: dict[str, NDArray] = {}
        if self.layout.groups is not None:
            groups = self.layout.groups[columns]
            # Trainings are told the groups' names, for their logs.
            streams = self.job.estimator.streams
            told["scope"] = np.array(self.layout.names)[groups] if streams else groups
        if parameters.get("common_readout"):
            told["homes"] = self._homes(columns)
        if "positions" in parameters:
            # It needs torch, which ridge does not.
            from regress.data.fsaverage_positions import positions_of

            at = self.layout.hemispheres[columns], self.layout.vertices[columns]
            told["positions"] = positions_of(self.job.subject, parameters["surface"], *at)
        return told

    def _homes(self, columns: Rows) -> NDArray[np.str_]:
        """Name the place on fsaverage, and the group, of each vertex."""
        layout, subject = self.layout, self.job.subject
        assert layout.groups is not None
        vertices = np.empty(len(columns), np.int64)
        for hemisphere in self.present.span:
            here = layout.hemispheres[columns] == hemisphere
            own = layout.vertices[columns[here]]
            vertices[here] = fsaverage_vertices(subject, hemisphere)[own]
        names = np.array(layout.names)[layout.groups[columns]]
        parts = zip(names, layout.hemispheres[columns], vertices, strict=True)
        return np.array([f"{name} {hemisphere} {vertex}" for name, hemisphere, vertex in parts])

    def sheet(self, columns: Rows) -> "Sheet":
        """Say where vertices lie, for models that have critics."""
        from regress.adversarial import Sheet

        subject = self.job.subject
        on_fsaverage = {h: fsaverage_vertices(subject, h) for h in self.present.span}
        return Sheet.from_layout(self.layout, columns, on_fsaverage)

    def take(self, model: Encoder, columns: Rows, start: int) -> None:
        """Take a fitted batch, and save the ROIs that it completes."""
        where = np.full(len(self._done), -1)
        where[columns] = start + np.arange(len(columns))
        self._fitted.append((self._n_taken, model, where))
        self._n_taken += 1
        self._done[columns] = True
        whole = [r for r in self._waiting if self._done[self.layout.columns[place(r)]].all()]
        self._waiting = [roi for roi in self._waiting if roi not in whole]
        judged: dict[str, NDArray] = {}
        if model.together:
            # Pictures pass what all vertices share once, not once for each ROI.
            mine = model.state(start + np.arange(len(columns)))
            judged = judge(self._restored(mine), self.job.design.test)
        # Of an ROI that is fitted alone, its file holds all.
        common = model.shared_names() if len(whole) > 1 else []
        for roi in whole:
            own = self.layout.columns[place(roi)]
            state = self._state(own)
            test = {name: values[:, where[own] - start] for name, values in judged.items()}
            save_fit(
                self.job,
                roi,
                state,
                common,
                test or judge(self._restored(state), self.job.design.test),
                self._cost(own),
                self.heldout[:, own],
                self.division.held,
                self.present,
            )
        needed = [self.layout.columns[place(roi)] for roi in self._waiting]
        self._fitted = [
            (number, model, where)
            for number, model, where in self._fitted
            if any((where[own] >= 0).any() for own in needed)
        ]

    def _restored(self, state: dict[str, NDArray]) -> Encoder:
        restored: Encoder = type(self.job.estimator)(**self.job.settings.parameters).restore(state)
        return restored

    def _state(self, columns: Rows) -> dict[str, NDArray]:
        """Give the arrays of some columns, which several batches may hold."""
        parts = []
        for _, model, where in self._fitted:
            here = where[columns] >= 0
            if here.any():
                parts.append((np.flatnonzero(here), model.state(where[columns][here])))
        if len(parts) == 1:
            return parts[0][1]
        return self.job.estimator.join(parts)

    def _cost(self, columns: Rows) -> dict[str, Any]:
        """Say what some columns took to fit; each batch is one training, known by a name."""
        name = self.present.training
        parameters, shared, epochs, seconds = 0, 0, [], {}
        for number, model, where in self._fitted:
            here = where[columns]
            if (here >= 0).any():
                cost = model.cost(here[here >= 0])
                parameters += cost["parameters"]
                shared += cost.get("shared_parameters", 0)
                epochs.append(cost["epochs"])
                seconds[f"{name}.{number}"] = cost["seconds_per_epoch"]
        most = None if None in epochs else max(epochs)
        common = {"shared_parameters": shared} if shared else {}
        common |= {"weights": cost["weights"]} if "weights" in cost else {}
        common |= {"start_tested": self.n_tested} if self.n_tested else {}
        return {"parameters": parameters, **common, "epochs": most, "seconds_per_epoch": seconds}
