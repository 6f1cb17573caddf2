"""What models share that know which of several subjects is looking."""

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
    """Base of the models in which subjects may have vectors of their own, and a common readout.

    Parameters
    ----------
    embedding : int
        With several subjects, numbers in a vector that each has, from which gains and shifts of the
        shared units are computed; 0 for none. All vertices then stop together.
    common_readout : bool
        Whether vertices of several subjects at one place of fsaverage, in one group, have the same
        readout: what differs between subjects is then in their vectors.
    homes : array (n_vertices,), optional
        The places: vertices of one name, or number, are at one. `python -m regress` takes them from
        the masks; without them the first vertex of each subject is at one place, and so on.
    **training
        The other parameters of every trained model, as `TrainedModel` has them.
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
        """Whether all vertices are trained as one: a subject's vector changes all."""
        return bool(self.embedding)

    def check_parameters(self) -> None:
        """Check the parameters."""
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"embedding": 0})
        common = self.common_readout
        if not isinstance(common, bool):
            raise ValueError(f"common_readout: found {common!r}, expected true or false")

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Train as every trained model is; with an embedding or a common readout, several subjects.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features; of several subjects, one below the other.
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
        """Give a network the vectors and the ties that the parameters ask for."""
        if self.embedding:
            subject = torch.from_numpy(self._subject)
            network.embed(self._n_subjects, self.embedding, n_units, subject)
        if self.common_readout:
            network.tie(torch.from_numpy(self._home))

    def as_subject(self, subject: int) -> Self:
        """Let another look at the pictures: the same readouts, after another subject's vector.

        Parameters
        ----------
        subject : int
            The number of the subject, from 0, in the order in which they were fitted: that of
            "subjects" in the settings of a fit's file.
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
        """Divide the model, where vertices of several subjects see through different units.

        Returns
        -------
        list of (array of int, Several)
            The vertices of each subject, and their model; all, and this, where nothing differs.
        """
        if not self.embedding or len(np.unique(self._subject)) < 2:
            return [(np.arange(len(self.epochs_)), self)]
        columns = [np.flatnonzero(self._subject == number) for number in np.unique(self._subject)]
        return [(part, clone(self).restore(self.state(part))) for part in columns]


def reassemble_columns(parts: Sequence[tuple[NDArray[np.int64], NDArray]]) -> NDArray:
    """Put vertices where they stand.

    Parameters
    ----------
    parts : sequence of (array of int, array (..., n))
        Where some vertices stand in the whole, and what there is of them.

    Returns
    -------
    array (..., n_vertices)
        Of all.
    """
    order = np.argsort(np.concatenate([columns for columns, _ in parts]))
    return np.concatenate([values for _, values in parts], -1)[..., order]
