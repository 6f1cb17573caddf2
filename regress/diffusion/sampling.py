"""Predictions of diffusion models, their spread, and single draws."""

import json
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from regress.diffusion.network import DiffusionNetwork
from regress.training import TrainedModel

Rows = NDArray[np.int64]

# Pictures whose draws are in memory at once, with responses of all vertices.
BLOCK = 256
CONFIG = "denoiser.config"


class SamplingModel(TrainedModel):
    """A trained model whose network draws responses, of one subject at a time."""

    # Of the trained or restored network: number of subjects with shifts, configuration of the UNet.
    _n_subjects = 0
    _config: dict[str, Any] | None = None

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the responses to pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices) or (n_images,)
            The mean of the draws, of the features' dtype.
        """
        check_is_fitted(self)
        subjects = self._subjects()
        if len(subjects) == 1:
            return super().predict(X)
        parts = [self._select_vertices(columns).predict(X) for columns in subjects]
        predicted: NDArray = np.concatenate(parts, 1)[:, np.argsort(np.concatenate(subjects))]
        return predicted

    def spread(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute how far responses may be from the predictions.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array of float32 (n_images, n_vertices)
            Standard deviations of the draws and of what the code leaves out, times the factor of
            each group that calibrates them on the validation pictures.
        """
        blocks = [
            torch.cat([network.spread(part) for part in torch.split(scaled, BLOCK)])
            for network, scaled in self._subject_networks(X)
        ]
        return self._in_order(blocks)

    def sample(self, X: ArrayLike, n_samples: int, random_state: int = 0) -> NDArray[np.float32]:
        """Draw responses to pictures, each time with new noise.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array of float32 (n_samples, n_images, n_vertices)
            Responses, without the variance that the code leaves out. The noise is the same for all
            pictures and groups: only covariances within a group are meaningful.
        """
        draws = [
            torch.stack(list(network.draw(scaled, n_samples, random_state)))
            for network, scaled in self._subject_networks(X)
        ]
        return self._in_order(draws)

    def _subject_networks(self, X: ArrayLike) -> Iterator[tuple[DiffusionNetwork, Tensor]]:
        """Yield the network of each subject, and the standardised features."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scaled = torch.from_numpy(self._standardised(features))
        subjects = self._subjects()
        with torch.inference_mode():
            for columns in subjects:
                network = (
                    self if len(subjects) == 1 else self._select_vertices(columns)
                )._diffusion_network
                network.eval()
                yield network, scaled

    def _in_order(self, parts: list[Tensor]) -> NDArray[np.float32]:
        order = np.argsort(np.concatenate(self._subjects()))
        ordered: NDArray[np.float32] = torch.cat(parts, -1).numpy()[..., order]
        return ordered

    def _subjects(self) -> list[Rows]:
        """Return the vertices of each subject; the network predicts one subject at a time."""
        subjects = self._diffusion_network.subjects.numpy()
        if not self._n_subjects:
            return [np.arange(len(subjects))]
        return [np.flatnonzero(subjects == number) for number in np.unique(subjects)]

    @property
    def _diffusion_network(self) -> DiffusionNetwork:
        assert isinstance(self.network_, DiffusionNetwork)
        return self.network_

    def _select_vertices(self, columns: Rows) -> Self:
        model: Self = clone(self).restore(self.state(columns))
        return model

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Restore a fitted model from the arrays of `state`."""
        self._n_subjects = state["whom"].shape[1] if "whom" in state else 0
        self._config = json.loads(state[CONFIG].tobytes()) if CONFIG in state else None
        return super().restore(state)
