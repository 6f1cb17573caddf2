"""Predictions of an encoder from rows of features: all vertices, means of ROIs, novelty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base import nearest
from challenge import HEMISPHERES
from challenge.layout import N_FSAVERAGE
from predict.combination import Combination, roi_shares
from predict.errors import PredictError
from predict.features import stack_columns
from predict.novelty import Novelty
from regress import LinearModel, load_fit
from regress.models import load_model_class

if TYPE_CHECKING:
    from regress.encoding_model import Encoder as Model

Rows = Mapping[str, NDArray[Any]]
Singles = NDArray[np.float32]


@dataclass
class Readout:
    """The fits of a subject with their weights, from rows of features to responses."""

    combination: Combination
    _models: "dict[int, Model]" = field(default_factory=dict, repr=False)

    @property
    def meta(self) -> dict[str, Any]:
        """The record of the combination: fits, spaces, sizes, provenance."""
        return self.combination.meta

    @property
    def subject(self) -> str:
        """The number of the subject."""
        return str(self.meta["subject"])

    @property
    def simulated(self) -> bool:
        """Whether the responses were simulated."""
        return bool(self.meta["simulated"])

    @property
    def untrained(self) -> tuple[str, ...]:
        """Feature spaces whose networks have random weights."""
        return tuple(sorted({space for run in self.meta["runs"] for space in run["untrained"]}))

    @property
    def n_vertices(self) -> int:
        """The number of vertices of both hemispheres."""
        return sum(self.meta["n_vertices"].values())

    @property
    def roi_names(self) -> tuple[str, ...]:
        """The names of the ROIs, such as "lh.V1v", in the order of their means."""
        return tuple(f"{hemisphere}.{roi}" for hemisphere, _, roi in self.meta["rois"])

    def select_rois(self, roi: Sequence[str]) -> list[int]:
        """Return the numbers of ROIs by name: "FFA-1" for both hemispheres, or "lh.FFA-1".

        Raises
        ------
        PredictError
            If the subject has no such ROI; the message names the nearest ones.
        """
        if not roi or not all(isinstance(name, str) for name in roi):
            raise PredictError(f"roi: found {list(roi)}, expected names such as 'V1v' or 'lh.V1v'")
        keys = self.meta["rois"]
        numbers = []
        for name in roi:
            matches = [n for n, (h, _, r) in enumerate(keys) if name in (r, f"{h}.{r}")]
            if not matches:
                names = sorted({r for _, _, r in keys})
                raise PredictError(
                    f"subject {self.subject} has no ROI {name!r}{nearest(name, names)} "
                    f"(it has {', '.join(names)})"
                )
            numbers += matches
        return list(dict.fromkeys(numbers))

    def load(self) -> None:
        """Read all models that have a weight, before anybody waits for them."""
        for number, (_, _, weight) in enumerate(self._parts):
            if weight.any():
                self._model(number)

    def to_surface(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Place values (..., n_vertices) on fsaverage, as `Encoder.to_surface` describes."""
        values = np.asarray(values)
        if values.shape[-1:] != (self.n_vertices,):
            raise PredictError(
                f"values: found shape {values.shape}, expected (..., {self.n_vertices}) for the "
                f"vertices of both hemispheres of subject {self.subject}"
            )
        surfaces = {}
        parts = np.split(values, [self.meta["n_vertices"]["lh"]], axis=-1)
        for hemisphere, part in zip(HEMISPHERES, parts, strict=True):
            places = self.combination.arrays.get(f"{hemisphere}.fsaverage")
            if places is None:
                raise PredictError(
                    f"subject {self.subject}: has no mask of fsaverage's vertices for "
                    f"{hemisphere}, so that its columns have no place on the surface"
                )
            shape = (*values.shape[:-1], N_FSAVERAGE)
            surfaces[hemisphere] = np.full(shape, np.nan, values.dtype)
            surfaces[hemisphere][..., places] = part
        return surfaces

    @cached_property
    def is_covered(self) -> NDArray[np.bool_]:
        """Whether a fit has each vertex."""
        covered = np.zeros(self.n_vertices, bool)
        covered[self.combination.arrays["vertices"]] = True
        return covered

    def vertices(self, rows: Rows) -> Singles:
        """Predict all vertices (n_images, n_vertices) from rows of features, by space."""
        n_images = len(next(iter(rows.values())))
        # Vertices come first, as in the submission, whose sums these repeat in the same order.
        predicted = np.zeros((self.n_vertices, n_images), np.float32)
        for number, (run, places, weight) in enumerate(self._parts):
            if weight.any():
                columns = self._model(number).predict(self._columns(rows, run))
                predicted[places] += (columns.astype(np.float32, copy=False) * weight).T
        predicted[~self.is_covered] = np.nan
        return predicted.T

    def roi_vertices(self, rows: Rows, numbers: Sequence[int] | None) -> Singles:
        """Predict the vertices of some ROIs, one ROI after the other; all vertices for None."""
        predicted = self.vertices(rows)
        if numbers is None:
            return predicted
        return predicted[:, np.concatenate([self.roi_columns[n] for n in numbers])]

    def roi_means(self, rows: Rows, numbers: Sequence[int] | None = None) -> Singles:
        """Predict the mean of each ROI (n_images, n_rois) from rows of features, by space.

        Of linear fits, coefficients were averaged beforehand, and no vertex is predicted.
        """
        columns = slice(None) if numbers is None else list(numbers)
        n_images, arrays = len(next(iter(rows.values()))), self.combination.arrays
        means = np.zeros((n_images, len(self.meta["rois"])))[:, columns]
        for number, run in enumerate(self.meta["runs"]):
            if f"readout.{number}" in arrays:
                X = stack_columns(rows, run["spaces"])
                readout, offset = arrays[f"readout.{number}"], arrays[f"offset.{number}"]
                means += X.astype(np.float32, copy=False) @ readout[:, columns] + offset[columns]
            else:
                means += self._average(rows, run["name"], columns, "predict")
        return means.astype(np.float32)

    @cached_property
    def has_spread(self) -> bool:
        """Whether all fits say how far responses may lie from their predictions."""
        return all(hasattr(load_model_class(run["model"]), "spread") for run in self.meta["runs"])

    def roi_spreads(self, rows: Rows, numbers: Sequence[int] | None = None) -> Singles:
        """Average the standard deviations of responses over each ROI (n_images, n_rois).

        The standard deviation of an ROI's mean is at most that, and equal to it where the
        deviations of its vertices are the same.
        """
        columns = slice(None) if numbers is None else list(numbers)
        runs = [run["name"] for run in self.meta["runs"]]
        spreads = sum(self._average(rows, run, columns, "spread") for run in runs)
        return np.asarray(spreads, np.float32)

    def distances(self, rows: Rows) -> Singles:
        """Return novelty and distance (n_images, 2) from rows of features, by space."""
        if self._novelty is None:
            raise PredictError(
                f"subject {self.subject}: the features of the training pictures were not stored "
                "when the encoder was made: run `make features`, remove OUT/encoders, load it again"
            )
        distances = self._novelty.distances(rows)
        return np.stack([self._novelty.percentiles(distances), distances], 1).astype(np.float32)

    @property
    def has_novelty(self) -> bool:
        """Whether distances from the training pictures are known."""
        return bool(self.meta["novelty"])

    @cached_property
    def _novelty(self) -> Novelty | None:
        if not self.has_novelty:
            return None
        return Novelty.restore(self.combination.arrays, list(self.meta["spaces"]))

    @cached_property
    def _parts(self) -> list[tuple[str, NDArray[np.int64], Singles]]:
        """The run, vertices and weights of each model."""
        arrays, records = self.combination.arrays, self.meta["models"]
        ends = np.cumsum([record["n"] for record in records])[:-1]
        vertices, weights = (np.split(arrays[name], ends) for name in ("vertices", "weights"))
        return list(zip((r["run"] for r in records), vertices, weights, strict=True))

    @cached_property
    def roi_columns(self) -> list[NDArray[np.int64]]:
        """The vertices of each ROI, numbered over both hemispheres."""
        return [self.combination.arrays[f"roi.{n}"] for n in range(len(self.meta["rois"]))]

    def _model(self, number: int) -> "Model":
        if number not in self._models:
            path = self.combination.fits / self.meta["models"][number]["path"]
            model = load_fit(path)[0]
            if isinstance(model, LinearModel) and model.coef_.dtype == np.float16:
                # Packed with half the bits.
                model.coef_ = model.coef_.astype(np.float32)
            self._models[number] = model
        return self._models[number]

    def _average(self, rows: Rows, name: str, columns: Any, method: str) -> NDArray[np.float64]:
        """Average over each ROI what a method of a run's models returns for each vertex."""
        total: Any = 0.0
        for number, (run, vertices, weight) in enumerate(self._parts):
            if run == name and weight.any():
                shares = roi_shares(vertices, weight, self.roi_columns)[:, columns]
                if shares.any():
                    values = getattr(self._model(number), method)(self._columns(rows, run))
                    total += values @ shares
        return np.asarray(total)

    def _columns(self, rows: Rows, run: str) -> NDArray[Any]:
        spaces = next(r["spaces"] for r in self.meta["runs"] if r["name"] == run)
        return stack_columns(rows, spaces)
