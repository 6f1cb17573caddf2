"""Diffusion model of responses to a picture; the prediction is the mean of draws."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import sha256_files
from cache import digest
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.diffusion.codes import find_codes
from regress.diffusion.denoiser import Denoiser
from regress.diffusion.memory_limits import check_latent
from regress.diffusion.network import DiffusionNetwork, SharedDiffusionNetwork
from regress.diffusion.pretrained_unet import PretrainedUNet, check_unet, unet_config, unet_files
from regress.diffusion.sampling import BLOCK, Rows, SamplingModel
from regress.diffusion.schedulers import LEVELS, SAMPLERS
from regress.diffusion.spread_calibration import Calibration
from regress.errors import RegressError
from regress.layers.readout import check_memory, check_whole
from regress.training import Network
from regress.training.inputs import groups_of


class Diffusion(SamplingModel):
    """Latent diffusion model of the responses of groups of vertices, from any feature spaces.

    The code is linear: the principal components of the training responses. A prediction is the mean
    of several draws with fixed noise, and `spread` estimates its error. With several subjects,
    their components are rotated so that pictures evoke the same codes, and the units of the
    picture are shifted by subject. The loss, in training and on validation pictures, is the
    denoising error.

    Parameters
    ----------
    latent : int
        Length of a group's code.
    width : int
        Units of the trunk and of the denoiser.
    blocks : int
        Residual blocks of the denoiser; the trunk has one.
    sampler : str
        ddim, ddpm, or dpm (DPM-Solver++ of second order).
    steps : int
        Number of denoising steps of a draw, a divisor of 1000.
    samples : int
        Number of draws that are averaged, in pairs of opposite noise.
    unet : str
        Folder of a UNet2DConditionModel as diffusers saves it, or of a pipeline with one, such as
        Stable Diffusion's. Its weights initialise the denoiser, which all groups share; all of
        them are trained. Empty for a small denoiser for each group.
    dropout : float
        Share of features, and of the trunk's inner units, that is left out at each step.
    lr : float
        The learning rate.
    epochs, patience, batch : int
        Largest number of epochs, epochs without a better loss before a group stops, pictures in a
        batch.
    **training
        The other parameters of `TrainedModel`; `loss` is mse.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser, Ommer (2022). High-resolution image synthesis with latent
    diffusion models. CVPR. The samplers are those of diffusers (von Platen et al., 2022).
    """

    def __init__(
        self,
        latent: int = 32,
        width: int = 64,
        blocks: int = 2,
        sampler: str = "dpm",
        steps: int = 20,
        samples: int = 16,
        unet: str = "",
        dropout: float = 0.2,
        lr: float = 1e-3,
        epochs: int = 200,
        patience: int = 20,
        batch: int = 64,
        **training: Any,
    ) -> None:
        super().__init__(
            dropout=dropout, lr=lr, epochs=epochs, patience=patience, batch=batch, **training
        )
        self.latent = latent
        self.width = width
        self.blocks = blocks
        self.sampler = sampler
        self.steps = steps
        self.samples = samples
        self.unet = unet

    @property
    def together(self) -> bool:
        """Whether all vertices must be trained together, for a UNet that they share."""
        return bool(self.unet)

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Folder of the UNet, if there is one."""
        return (self.unet,) if self.unet else ()

    def network_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the network, without those of the sampler.

        Returns
        -------
        dict
            Values by name.
        """
        drawing = ("sampler", "steps", "samples")
        return {n: v for n, v in super().network_parameters().items() if n not in drawing}

    def check_parameters(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError
            If one is out of range; the message names it.
        """
        super().check_parameters()
        sizes = {"latent": 1, "width": 1, "blocks": 0, "steps": 1, "samples": 2}
        check_whole(self.get_params(deep=False), sizes)
        if self.loss != "mse" or self.l1_epochs:
            raise ValueError(
                f"loss: found {self.loss!r}, l1_epochs: {self.l1_epochs}; expected mse and 0: "
                "this model is trained on the squared error of its denoiser"
            )
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler: found {self.sampler!r}, expected {', '.join(SAMPLERS)}")
        if LEVELS % self.steps:
            raise ValueError(
                f"steps: found {self.steps}, expected a divisor of {LEVELS}, such as 20, 50 or 100"
            )
        if self.unet:
            try:
                check_unet(self.unet)
            except RegressError as error:
                raise ValueError(str(error)) from error

    def make_network(self, n_features: int, member: Tensor) -> Network:
        """Make the trunks and denoisers; codes are computed before training.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Network
            Untrained network, which draws standard normal codes: it predicts the mean response.
        """
        width, latent, n_groups = self.width, self.latent, int(member.max()) + 1
        weights = width * (n_features + 3 * width + 2 * self.blocks * width + 3 * latent)
        check_memory(n_groups, weights, self.batch * width * (8 + 16 * self.blocks))
        arguments = n_features, member, (latent, width, 1), self.dropout, self._n_subjects
        network: DiffusionNetwork
        if self.unet:
            config = self._config or unet_config(self.unet)
            network = SharedDiffusionNetwork(
                PretrainedUNet(config, n_groups, latent, width), *arguments
            )
        else:
            network = DiffusionNetwork(Denoiser(n_groups, latent, width, self.blocks), *arguments)
        return network.set_sampler(self.sampler, self.steps, self.samples)

    def sources(self) -> dict[str, str]:
        """Return a digest of the UNet's files.

        Returns
        -------
        dict of str to str
            Digest of `unet`; empty without it.
        """
        return {"unet": digest({"files": sha256_files(unet_files(self.unet))})} if self.unet else {}

    def prepare(self, network: Network) -> None:
        """Load the UNet's weights into a network before its training.

        Parameters
        ----------
        network : Network
            Changed in place.
        """
        assert isinstance(network, DiffusionNetwork)
        if isinstance(network.denoiser, PretrainedUNet):
            network.denoiser.load(self.unet)

    def _train(
        self, X: NDArray, responses: Responses | Joint, held: NDArray[np.bool_], epochs: Rows | None
    ) -> Self:
        count = len(responses.parts)
        self._n_subjects = count if count > 1 else 0
        if self.start is not None:
            # A subject that is not among them gets the mean of their shifts.
            self._n_subjects = self.start["whom"].shape[1] if "whom" in self.start else 0
        self._config = None
        member = groups_of(self.scope, responses.shape[1])[1]
        check_latent(self.latent, responses.pictures(~held), member, self.batch, self.width)
        return super()._train(X, responses, held, epochs)

    def before_training(
        self,
        network: Network,
        pictures: tuple[NDArray, Responses | Joint],
        is_known: NDArray[np.bool_],
        before: Network | None,
    ) -> None:
        """Compute the codes of responses, before the first step.

        Parameters
        ----------
        network : Network
            Network before the first step; changed in place.
        pictures : (array (n_images, n_features), Responses or Joint (n_images, n_vertices))
            Features, not standardised, and responses of the training pictures.
        is_known : array of bool (n_vertices,)
            Vertices that have a code from `start`.
        before : Network or None
            Network that `fit` trained, where this is a refit.
        """
        assert isinstance(network, DiffusionNetwork)
        if isinstance(before, DiffusionNetwork):
            network.factor.copy_(before.factor)
        X, responses = pictures
        self._variance = find_codes(
            network,
            lambda rows: self._standardised(X[rows]),
            responses,
            is_known,
            self.random_state,
            quiet=before is not None,
        )

    def after_fit(self, X: NDArray, responses: Responses | Joint) -> None:
        """Calibrate the spread by the errors of the validation pictures, after `fit`.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features, not standardised.
        responses : Responses or Joint (n_images, n_vertices)
            Responses to these pictures.
        """
        calibration = Calibration(self._diffusion_network)
        first, start = 0, 0
        for part in responses.parts:
            rows, columns = np.arange(len(part)), start + np.arange(part.shape[1])
            subject_model = self if len(responses.parts) == 1 else self._select_vertices(columns)
            for block in np.array_split(rows, -(-len(part) // BLOCK)) if len(columns) else ():
                scaled = torch.from_numpy(self._standardised(X[first + block]))
                calibration.add(subject_model._diffusion_network, scaled, part.read(block), columns)
            first, start = first + len(part), start + len(columns)
        calibration.apply()

    def _adopt(
        self, best_weights: Any, member: Rows, still: NDArray[np.bool_], means: NDArray
    ) -> None:
        super()._adopt(best_weights, member, still, means)
        # The code explains nothing of vertices that stay at their mean: all variance is left.
        at = np.flatnonzero(still)
        self._diffusion_network.left[at] = torch.from_numpy(self._variance[at]).float()
