"""Base of the models that generate responses: critics, noise, and subjects' vectors."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from regress.adversarial.adversary import Adversary, check_game
from regress.adversarial.critics import critic_names, make_critics
from regress.adversarial.generator import Generator
from regress.adversarial.multi_subject import MultiSubjectModel, reassemble_columns
from regress.adversarial.vertex_geometry import Sheet
from regress.errors import RegressError
from regress.layers.readout import check_whole


class Generative(MultiSubjectModel):
    """Base of the models with optional critics, noise and subjects' vectors.

    Parameters
    ----------
    discriminators : str
        Critics of the generated responses: single, per_hemisphere, per_roi, vit, patch, or several,
        such as "patch+per_roi". Empty for plain regression without critics.
    adversarial : float
        Weight of the verdicts, where the loss of a vertex has weight 1.
    game : str
        hinge or least_squares.
    critic_width : int
        Units of a critic's layers.
    critic_lr : float
        The critics' learning rate, as a multiple of `lr`. A patch's verdicts are the slowest to
        learn, and 3e-3 in all was seen to suffice where trainings are short; 1e-2 did harm.
    spectral : bool
        Whether the critics' layers are normalised to a spectral norm of 1.
    penalty : float
        Weight of R1, the critics' squared slope at measured responses; 0 for none. Without it, or
        with the least-squares game, generators were seen to generate one of two modes only.
    noise : int
        Number of random inputs of the generator besides the features; 0 for none.
    samples : int
        Number of draws that are averaged in a prediction, with noise.
    sheet : sequence of Sheet, optional
        Geometry of each subject's vertices. `python -m regress` takes it from the masks and
        fsaverage; without it vertices are neighbours in the order of their columns.
    **training
        The other parameters of `TrainedModel`.
    """

    def __init__(
        self,
        discriminators: str = "",
        adversarial: float = 0.1,
        game: str = "hinge",
        critic_width: int = 64,
        critic_lr: float = 1.0,
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
        self.critic_lr = critic_lr
        self.spectral = spectral
        self.penalty = penalty
        self.noise = noise
        self.samples = samples
        self.sheet = sheet

    @property
    def together(self) -> bool:
        """Whether all vertices must be trained together, for critics or subjects' vectors."""
        return bool(critic_names(self.discriminators)) or super().together

    def network_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the network, without those of the critics.

        Returns
        -------
        dict
            Values by name.
        """
        judging = {*signature(Generative.__init__).parameters, "homes"} - {"noise", "samples"}
        return {n: v for n, v in super().network_parameters().items() if n not in judging}

    def check_parameters(self) -> None:
        """Check the parameters.

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
        for name in ("adversarial", "critic_lr", "penalty"):
            value = parameters[name]
            if not isinstance(value, float | int) or not 0 <= value < float("inf"):
                raise ValueError(f"{name}: found {value!r}, expected a number from 0 on")

    def configure(self, network: Generator, n_units: int) -> Generator:
        """Add noise, subjects' vectors and ties to a network, as the parameters ask."""
        self.attach(network, n_units)
        return network.set_noise(self.noise, self.samples)

    def critic_view(self, n_features: int) -> tuple[nn.Module, int]:
        """Return the module from features to the critics' input, and its number of columns."""
        return nn.Identity(), n_features

    def make_critics(self, n_features: int, widths: Sequence[int]) -> nn.ModuleList | None:
        """Make an `Adversary` for each subject that has vertices; None without critics."""
        if not critic_names(self.discriminators):
            return None
        sight, n_seen = self.critic_view(n_features)
        sheets_in_order = (
            [Sheet.line(width) for width in widths] if self.sheet is None else self.sheet
        )
        sheets = [sheet for sheet in sheets_in_order if len(sheet.hemispheres)]
        adversaries = []
        for sheet, width in zip(sheets, widths, strict=True):
            sheet.check(width)
            critics = make_critics(
                self.discriminators, sheet, n_seen, self.critic_width, self.spectral
            )
            weights = self.adversarial, self.penalty
            adversaries.append(Adversary(critics, self.game, *weights, sight, self.critic_lr))
        return nn.ModuleList(adversaries)

    def advice(self) -> list[str]:
        """List what to lower besides the learning rate: the weight of the critics.

        Returns
        -------
        list of str
            Advice with the option; empty without critics.
        """
        if not critic_names(self.discriminators):
            return []
        now = self.adversarial
        return [f"critics less weight (now {now:g}): --params.adversarial {min(now / 10, 0.1):g}"]

    def sample(self, X: ArrayLike, n_samples: int, random_state: int = 0) -> NDArray[np.float32]:
        """Draw responses to pictures, each time with new noise.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        n_samples : int
            Number of draws.
        random_state : int
            Seed of the noise.

        Returns
        -------
        array of float32 (n_samples, n_images, n_vertices)
            Responses; all the same where the model has no noise.
        """
        check_is_fitted(self)
        parts = self.split_by_subject()
        if len(parts) > 1:
            samples = [
                (columns, part.sample(X, n_samples, random_state)) for columns, part in parts
            ]
            return reassemble_columns(samples)
        types = [np.float32, np.float64, np.uint8]
        features = validate_data(self, X, dtype=types, reset=False)
        network, blocks = self.network_, range(0, len(features), self.block)
        assert isinstance(network, Generator)
        network.eval()
        draws = []
        with torch.inference_mode():
            for at in blocks:
                scaled = torch.from_numpy(self._standardised(features[at : at + self.block]))
                rng = np.random.default_rng(random_state)
                draws.append(
                    np.stack([network.draw(scaled, rng).numpy() for _ in range(n_samples)])
                )
        return np.concatenate(draws, 1)
