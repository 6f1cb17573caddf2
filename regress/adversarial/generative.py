"""What models that generate responses share: critics, noise, and a vector for each subject."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from regress.adversarial.adversary import Adversary, check_game
from regress.adversarial.critics import critic_names, make_critics
from regress.adversarial.generator import Generator
from regress.adversarial.sheet import Sheet
from regress.errors import RegressError
from regress.joint import Joint
from regress.trained import TrainedModel
from regress.trained.readout import check_whole


class Generative(TrainedModel):
    """Base of the models that may be trained against critics, and may know who is looking.

    Parameters
    ----------
    discriminators : str
        Who judges what is made: single, per_hemisphere, per_roi, vit, patch, or several, such as
        "patch+per_roi". Empty for nobody: then this is plain regression.
    adversarial : float
        The weight of their verdicts, where the loss of a vertex weighs 1.
    game : str
        hinge or least_squares.
    critic_width : int
        Units of a critic's layers.
    spectral : bool
        Whether critics are held to a spectral norm of 1.
    penalty : float
        The weight of their squared slope at measured responses, R1; 0 for none. Without it, or with
        the least-squares game, generators were seen to make one of two modes only.
    noise : int
        Random numbers given to the generator beside the features; 0 for none.
    samples : int
        With noise, a prediction is the mean of so many draws.
    embedding : int
        With several subjects, numbers in a vector that each has, from which gains and shifts of the
        shared units are computed; 0 for none. All vertices then stop together.
    common_readout : bool
        Whether vertices of several subjects at one place of fsaverage, in one group, have the same
        readout: what differs between subjects is then in their vectors.
    homes : array (n_vertices,), optional
        The places: vertices of one name, or number, are at one. `python -m regress` takes them from
        the masks; without them the first vertex of each subject is at one place, and so on.
    sheet : sequence of Sheet, optional
        Where the vertices of each subject lie. `python -m regress` takes it from the masks and
        fsaverage; without it they stand in a row.
    **training
        The other parameters of every trained model, as `TrainedModel` has them.
    """

    def __init__(
        self,
        discriminators: str = "",
        adversarial: float = 0.1,
        game: str = "hinge",
        critic_width: int = 64,
        spectral: bool = False,
        penalty: float = 1.0,
        noise: int = 0,
        samples: int = 8,
        embedding: int = 0,
        common_readout: bool = False,
        homes: ArrayLike | None = None,
        sheet: Sequence[Sheet] | None = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.discriminators = discriminators
        self.adversarial = adversarial
        self.game = game
        self.critic_width = critic_width
        self.spectral = spectral
        self.penalty = penalty
        self.noise = noise
        self.samples = samples
        self.embedding = embedding
        self.common_readout = common_readout
        self.homes = homes
        self.sheet = sheet

    @property
    def together(self) -> bool:
        """Whether all vertices are trained as one: critics judge all, a subject changes all."""
        return bool(critic_names(self.discriminators)) or bool(self.embedding)

    def network_parameters(self) -> dict[str, Any]:
        """Give the parameters that say what the network is; who judges it does not.

        Returns
        -------
        dict
            By name.
        """
        own = {"noise", "samples", "embedding", "common_readout"}
        judging = {*signature(Generative.__init__).parameters} - own
        return {n: v for n, v in super().network_parameters().items() if n not in judging}

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be.

        Raises
        ------
        ValueError
            If one is out of range; the message names it.
        """
        super().check_parameters()
        try:
            critic_names(self.discriminators)
            check_game(self.game)
        except RegressError as error:
            raise ValueError(str(error)) from error
        parameters = self.get_params(deep=False)
        # Attention has four heads.
        least = {"critic_width": 4, "noise": 0, "samples": 1, "embedding": 0}
        check_whole(parameters, least)
        if not isinstance(self.common_readout, bool):
            raise ValueError(
                f"common_readout: found {self.common_readout!r}, expected true or false"
            )
        if self.critic_width % 4:
            raise ValueError(f"critic_width: found {self.critic_width}, expected a multiple of 4")
        for name in ("adversarial", "penalty"):
            value = parameters[name]
            if not isinstance(value, float | int) or not 0 <= value < float("inf"):
                raise ValueError(f"{name}: found {value!r}, expected a number from 0 on")

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Train as every trained model is; with an embedding or a common readout, several subjects.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features; of several subjects, one below the other.
        y : array (n_images, n_vertices) or (n_images,), or Responses, or Joint
            Responses.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, or there are no several subjects where one wants them.
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
            found, expected = np.shape(self.homes), self._home.shape
            if found != expected:
                raise ValueError(f"homes: found shape {found}, expected {expected}, one a vertex")
            self._home = np.unique(np.asarray(self.homes), return_inverse=True)[1]
        return super().fit(X, y)

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Make a fitted model of what `state` gave.

        Parameters
        ----------
        state : dict of str to array
            The arrays.

        Returns
        -------
        self
            Predicts the same numbers.
        """
        self._n_subjects = len(state.get("vectors", ()))
        self._subject, self._home = (
            np.asarray(state.get(name, ()), np.int64) for name in ("subject", "home")
        )
        return super().restore(state)

    def finished(self, network: Generator, n_units: int) -> Generator:
        """Give a network the noise, the subjects and the ties that the parameters ask for.

        Parameters
        ----------
        network : Generator
            As `make_network` makes it; changed.
        n_units : int
            Its units that a subject's vector changes.

        Returns
        -------
        Generator
            The same.
        """
        if self.embedding:
            subject = torch.from_numpy(self._subject)
            network.embed(self._n_subjects, self.embedding, n_units, subject)
        if self.common_readout:
            network.tie(torch.from_numpy(self._home))
        return network.given(self.noise, self.samples)

    def as_subject(self, subject: int) -> Self:
        """Let another look at the pictures: the same readouts, after another subject's vector.

        Parameters
        ----------
        subject : int
            The number of the subject, from 0, in the order in which they were fitted: that of
            "subjects" in the settings of a fit's file.

        Returns
        -------
        Generative
            Another model.

        Raises
        ------
        ValueError
            If there is no such subject.
        """
        check_is_fitted(self)
        if not 0 <= subject < self._n_subjects or not self.embedding:
            raise ValueError(
                f"subject: found {subject}, expected a number below {self._n_subjects}, that of "
                "the subjects of a model that was fitted with an embedding"
            )
        state = self.state()
        for name in state:
            if name in ("subject", "inside.subject"):
                state[name] = np.full_like(state[name], subject)
        other: Self = clone(self).restore(state)
        return other

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
        parts = self._of_subjects()
        if len(parts) < 2:
            return super().predict(X)
        return _beside([(own, part.predict(X)) for own, part in parts])

    def _of_subjects(self) -> list[tuple[NDArray[np.int64], Self]]:
        """Divide the model, where vertices of several subjects see through different units."""
        if not self.embedding or len(np.unique(self._subject)) < 2:
            return [(np.arange(len(self.epochs_)), self)]
        columns = [np.flatnonzero(self._subject == number) for number in np.unique(self._subject)]
        return [(own, clone(self).restore(self.state(own))) for own in columns]

    def glance(self, n_features: int) -> tuple[nn.Module, int]:
        """Say what critics see of a picture.

        Parameters
        ----------
        n_features : int
            Columns of the features.

        Returns
        -------
        Module
            From features to what they see.
        int
            Its columns.
        """
        return nn.Identity(), n_features

    def make_critics(self, n_features: int, widths: Sequence[int]) -> nn.ModuleList | None:
        """Make critics for each subject.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        widths : sequence of int
            The vertices of each subject that has any.

        Returns
        -------
        ModuleList or None
            For each of these subjects an `Adversary`; None where nobody judges.

        Raises
        ------
        RegressError
            If `sheet` is of other vertices.
        """
        if not critic_names(self.discriminators):
            return None
        sight, n_seen = self.glance(n_features)
        given = [Sheet.line(width) for width in widths] if self.sheet is None else self.sheet
        sheets = [sheet for sheet in given if len(sheet.hemispheres)]
        adversaries = []
        for sheet, width in zip(sheets, widths, strict=True):
            sheet.check(width)
            critics = make_critics(
                self.discriminators, sheet, n_seen, self.critic_width, self.spectral
            )
            adversaries.append(Adversary(critics, self.game, self.adversarial, self.penalty, sight))
        return nn.ModuleList(adversaries)

    def sample(self, X: ArrayLike, n_samples: int, random_state: int = 0) -> NDArray[np.float32]:
        """Make responses to pictures, each time of other noise.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        n_samples : int
            How many times.
        random_state : int
            Seed of the noise.

        Returns
        -------
        array of float32 (n_samples, n_images, n_vertices)
            Responses; all the same where the model has no noise.
        """
        check_is_fitted(self)
        parts = self._of_subjects()
        if len(parts) > 1:
            drawn = [(own, part.sample(X, n_samples, random_state)) for own, part in parts]
            return _beside(drawn)
        types = [np.float32, np.float64, np.uint8]
        features = validate_data(self, X, dtype=types, reset=False)
        network, blocks = self.network_, range(0, len(features), self.block)
        assert isinstance(network, Generator)
        network.eval()
        made = []
        with torch.inference_mode():
            for at in blocks:
                some = torch.from_numpy(self._standardised(features[at : at + self.block]))
                rng = np.random.default_rng(random_state)
                made.append(np.stack([network.draw(some, rng).numpy() for _ in range(n_samples)]))
        return np.concatenate(made, 1)


def _beside(parts: Sequence[tuple[NDArray[np.int64], NDArray]]) -> NDArray:
    """Put vertices, along the last axis, where they stand."""
    order = np.argsort(np.concatenate([columns for columns, _ in parts]))
    return np.concatenate([values for _, values in parts], -1)[..., order]
