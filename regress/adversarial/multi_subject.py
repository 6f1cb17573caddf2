"""Base of the models in which subjects have vectors or a common readout."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from regress.adversarial.generator import Generator
from regress.data.several_subjects import Joint
from regress.layers.readout import check_whole
from regress.training import TrainedModel


class MultiSubjectModel(TrainedModel):
    """Base of the models in which subjects may have vectors, and a common readout.

    Parameters
    ----------
    embedding : int
        With several subjects, length of each subject's vector, from which gains and shifts of the
        shared units are computed; 0 for none. All vertices then stop together.
    common_readout : bool
        Whether vertices of several subjects at one place of fsaverage, in one group, share a
        readout, so that subjects differ in their vectors only.
    homes : array (n_vertices,), optional
        Name or number of each vertex' place. `python -m regress` takes it from the masks; without
        it the first vertices of all subjects are at one place, then the second ones, and so on.
    **training
        The other parameters of `TrainedModel`.
    """

    def __init__(
        self,
        embedding: int = 0,
        common_readout: bool = False,
        homes: ArrayLike | None = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.embedding = embedding
        self.common_readout = common_readout
        self.homes = homes

    @property
    def together(self) -> bool:
        """Whether all vertices must be trained together, for subjects' vectors."""
        return bool(self.embedding)

    def check_parameters(self) -> None:
        """Check the parameters."""
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"embedding": 0})
        common = self.common_readout
        if not isinstance(common, bool):
            raise ValueError(f"common_readout: found {common!r}, expected true or false")

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Train the model; an embedding or a common readout needs several subjects.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features; those of several subjects are concatenated.
        y : array (n_images, n_vertices) or (n_images,), or Responses, or Joint
            Responses.
        """
        self.check_parameters()
        widths = [part.shape[1] for part in y.parts] if isinstance(y, Joint) else []
        for name in ("embedding", "common_readout"):
            if getattr(self, name) and len(widths) < 2:
                raise ValueError(f"{name}: expected several subjects, --subjects 01 02; found one")
            if getattr(self, name) and self.start is not None:
                raise ValueError(
                    f"{name}: a training that begins from another has one subject's vertices as "
                    "they were; expected no start"
                )
        self._n_subjects = len(widths)
        self._subject = np.repeat(np.arange(len(widths)), widths)
        self._home = np.concatenate([np.arange(0), *map(np.arange, widths)])
        if self.homes is not None and self.common_readout:
            shape, expected = np.shape(self.homes), self._home.shape
            if shape != expected:
                raise ValueError(f"homes: found shape {shape}, expected {expected}, one a vertex")
            self._home = np.unique(np.asarray(self.homes), return_inverse=True)[1]
        return super().fit(X, y)

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Restore a fitted model from the arrays of `state`."""
        self._n_subjects = len(state.get("vectors", ()))
        self._subject, self._home = (
            np.asarray(state.get(name, ()), np.int64) for name in ("subject", "home")
        )
        return super().restore(state)

    def attach(self, network: Generator, n_units: int) -> None:
        """Add subjects' vectors and ties to a network, as the parameters ask."""
        if self.embedding:
            subject = torch.from_numpy(self._subject)
            network.embed(self._n_subjects, self.embedding, n_units, subject)
        if self.common_readout:
            network.tie(torch.from_numpy(self._home))

    def as_subject(self, subject: int) -> Self:
        """Return the model with the vector of another subject, and the same readouts.

        Parameters
        ----------
        subject : int
            Number of the subject, from 0, in the order of "subjects" in the settings of the fit's
            file.
        """
        check_is_fitted(self)
        if not self.embedding or not self._n_subjects:
            raise ValueError(
                "as_subject: this model has no vectors of subjects; expected one that was fitted "
                "with --subjects 01 02 --params.embedding 8"
            )
        if not 0 <= subject < self._n_subjects:
            raise ValueError(
                f"subject: found {subject}, expected a number from 0 to {self._n_subjects - 1}"
            )
        state = self.state()
        for name in state:
            if name in ("subject", "inside.subject"):
                state[name] = np.full_like(state[name], subject)
        subject_model: Self = clone(self).restore(state)
        return subject_model

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the responses to pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices) or (n_images,)
            Responses, of the features' dtype.
        """
        check_is_fitted(self)
        parts = self.split_by_subject()
        if len(parts) < 2:
            return super().predict(X)
        return reassemble_columns([(columns, part.predict(X)) for columns, part in parts])

    def split_by_subject(self) -> list[tuple[NDArray[np.int64], Self]]:
        """Split the model by subject, where subjects' vectors give them different units.

        Returns
        -------
        list of (array of int, MultiSubjectModel)
            Vertices of each subject, and their model; all vertices and this model where subjects
            do not differ.
        """
        if not self.embedding or len(np.unique(self._subject)) < 2:
            return [(np.arange(len(self.epochs_)), self)]
        columns = [np.flatnonzero(self._subject == number) for number in np.unique(self._subject)]
        return [(part, clone(self).restore(self.state(part))) for part in columns]


def reassemble_columns(parts: Sequence[tuple[NDArray[np.int64], NDArray]]) -> NDArray:
    """Return columns (..., n) in their order in the whole, from pairs of indices and columns."""
    order = np.argsort(np.concatenate([columns for columns, _ in parts]))
    return np.concatenate([values for _, values in parts], -1)[..., order]
