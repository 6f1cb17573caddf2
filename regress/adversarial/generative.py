"""What models that generate responses share: critics, and a noise that stands for the unknown."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from regress.adversarial.adversary import Adversary, check_game
from regress.adversarial.critics import critic_names, make_critics
from regress.adversarial.sheet import Sheet
from regress.errors import RegressError
from regress.trained import Network, TrainedModel
from regress.trained.readout import check_whole


class Generator(Network):
    """A network that is given noise beside the features, or is not.

    What it predicts is the mean of what it makes of several draws; in training, it makes of one. A
    network becomes a generator by having this class before its own among its bases, and `make`.
    """

    _noise, _samples = 0, 1

    def given(self, noise: int, samples: int) -> Self:
        """Say what noise it is given.

        Parameters
        ----------
        noise : int
            Standard normal numbers beside the features; 0 for none.
        samples : int
            Draws that are averaged in predictions.

        Returns
        -------
        self
            The same network.
        """
        self._noise, self._samples = noise, samples
        return self

    def make(self, inputs: Tensor) -> Tensor:
        """Make responses.

        Parameters
        ----------
        inputs : Tensor (n_images, n_features + noise)
            Features, standardised, and noise.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Responses.

        Raises
        ------
        TypeError
            If the subclass does not say how.
        """
        raise TypeError(f"{type(self).__name__} does not say how it makes responses")

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses; in training, make them of one draw.

        Parameters
        ----------
        features : Tensor (n_images, n_features)
            Standardised.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Responses.
        """
        if not self._noise:
            return self.make(features)
        if self.training:
            drawn = torch.randn(len(features), self._noise, device=features.device)
            return self.make(torch.cat([features, drawn], 1))
        # The same draws for every picture: its prediction does not depend on those beside it.
        rng = np.random.default_rng(0)
        total = features.new_zeros(())
        for _ in range(self._samples):
            total = total + self.draw(features, rng)
        return total / self._samples

    def draw(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """Make responses of one draw of noise, the same for all pictures.

        Parameters
        ----------
        features : Tensor (n_images, n_features)
            Standardised.
        rng : Generator
            Draws the noise.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Responses.
        """
        if not self._noise:
            return self.make(features)
        drawn = torch.from_numpy(rng.standard_normal(self._noise, np.float32)).to(features.device)
        return self.make(torch.cat([features, drawn.expand(len(features), -1)], 1))


class Generative(TrainedModel):
    """Base of the models that may be trained against critics.

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
        self.sheet = sheet

    @property
    def together(self) -> bool:
        """Whether all vertices are trained as one: critics judge all together."""
        return bool(critic_names(self.discriminators))

    def network_parameters(self) -> dict[str, Any]:
        """Give the parameters that say what the network is; who judges it does not.

        Returns
        -------
        dict
            By name.
        """
        judging = {*signature(Generative.__init__).parameters} - {"noise", "samples"}
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
        check_whole(parameters, {"critic_width": 4, "noise": 0, "samples": 1})
        if self.critic_width % 4:
            raise ValueError(f"critic_width: found {self.critic_width}, expected a multiple of 4")
        for name in ("adversarial", "penalty"):
            value = parameters[name]
            if not isinstance(value, float | int) or not 0 <= value < float("inf"):
                raise ValueError(f"{name}: found {value!r}, expected a number from 0 on")

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
        given = [Sheet.line(width) for width in widths] if self.sheet is None else self.sheet
        sheets = [sheet for sheet in given if len(sheet.hemispheres)]
        adversaries = []
        for sheet, width in zip(sheets, widths, strict=True):
            sheet.check(width)
            critics = make_critics(
                self.discriminators, sheet, n_features, self.critic_width, self.spectral
            )
            adversaries.append(Adversary(critics, self.game, self.adversarial, self.penalty))
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
        features = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scaled = torch.from_numpy(self._standardised(features))
        network, rng = self.network_, np.random.default_rng(random_state)
        assert isinstance(network, Generator)
        network.eval()
        with torch.inference_mode():
            made = [network.draw(scaled, rng).numpy() for _ in range(n_samples)]
        return np.stack(made)
