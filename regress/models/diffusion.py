"""Diffusion model of responses to a picture; the prediction is the mean of draws."""

import json
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from typing_extensions import override

from base import sha256_files
from cache import digest
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.diffusion.codes import find_codes
from regress.diffusion.denoiser import Denoiser
from regress.diffusion.memory_limits import check_latent
from regress.diffusion.network import DiffusionNetwork
from regress.diffusion.pretrained_unet import PretrainedUNet, check_unet, unet_config, unet_files
from regress.diffusion.schedulers import LEVELS, SAMPLERS
from regress.diffusion.spread_calibration import Block, calibrate_spread
from regress.errors import RegressError
from regress.layers.readout import check_memory
from regress.training import Network, TrainedModel
from regress.training.phase import Data, Rows

# Pictures whose draws are in memory at once, with responses of all vertices.
BLOCK = 256
# Name of the UNet's configuration in a fitted model.
CONFIG = "denoiser.config"


class Diffusion(TrainedModel):
    """Latent diffusion model of the responses of groups of vertices, from any feature spaces.

    The code is linear: the principal components of the training responses. A prediction is the mean
    of several draws with fixed noise, and `spread` estimates its error. With several subjects,
    their components are rotated so that pictures evoke the same codes, and the units of the
    picture are shifted by subject. The loss, in training and on validation pictures, is the
    denoising error.

    The other parameters are those of `Training`; `loss` is mse.

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

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser, Ommer (2022). High-resolution image synthesis with latent
    diffusion models. CVPR. The samplers are those of diffusers (von Platen et al., 2022).
    """

    latent: int = 32
    width: int = 64
    blocks: int = 2
    sampler: str = "dpm"
    steps: int = 20
    samples: int = 16
    unet: str = ""
    dropout: float = 0.2
    lr: float = 1e-3
    epochs: int = 200
    patience: int = 20
    batch: int = 64

    limits: ClassVar = {"latent": 1, "width": 1, "blocks": 0, "steps": 1, "samples": 2}
    free = ("sampler", "steps", "samples")

    @property
    @override
    def together(self) -> bool:
        return bool(self.unet)

    @property
    @override
    def pretrained(self) -> tuple[str, ...]:
        return (self.unet,) if self.unet else ()

    @override
    def sources(self) -> dict[str, str]:
        return {"unet": digest({"files": sha256_files(unet_files(self.unet))})} if self.unet else {}

    @override
    def check_parameters(self) -> None:
        super().check_parameters()
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

    @override
    def make_template(self, responses: Responses | Joint, member: Rows) -> dict[str, NDArray]:
        check_latent(self.latent, responses, member, self.batch, self.width)
        template: dict[str, NDArray] = {}
        if self.start is not None:
            # A subject that is not among them gets the mean of their shifts.
            template = {"whom": self.start["whom"]} if "whom" in self.start else {}
        elif len(responses.parts) > 1:
            template = {"whom": np.zeros((1, len(responses.parts), self.width), np.float32)}
        if self.unet:
            config = json.dumps(unet_config(self.unet)).encode()
            template[CONFIG] = np.frombuffer(config, np.uint8)
        return template

    @override
    def make_network(self, n_features: int, member: Tensor) -> Network:
        width, latent, n_groups = self.width, self.latent, int(member.max()) + 1
        weights = width * (n_features + 3 * width + 2 * self.blocks * width + 3 * latent)
        check_memory(n_groups, weights, self.batch * width * (8 + 16 * self.blocks))
        denoiser: Denoiser | PretrainedUNet
        if self.unet:
            config = json.loads(self.template_[CONFIG].tobytes())
            denoiser = PretrainedUNet(config, n_groups, latent, width)
        else:
            denoiser = Denoiser(n_groups, latent, width, self.blocks)
        n_subjects = self.template_["whom"].shape[1] if "whom" in self.template_ else 0
        sizes = latent, width, 1
        network = DiffusionNetwork(denoiser, n_features, member, sizes, self.dropout, n_subjects)
        return network.set_sampler(self.sampler, self.steps, self.samples)

    @override
    def prepare(self, network: Network) -> None:
        if isinstance(network.denoiser, PretrainedUNet):
            network.denoiser.load(self.unet)

    @override
    def before_training(
        self, network: Network, training: Data, is_known: NDArray[np.bool_]
    ) -> None:
        assert isinstance(network, DiffusionNetwork)
        is_refit = self.inside_ is not None
        if is_refit:
            network.factor.copy_(self._diffusion_network.factor)
        X, responses = training
        self._variance = find_codes(
            network,
            lambda rows: self._standardised(X[rows]),
            responses,
            is_known,
            self.random_state,
            quiet=is_refit,
        )

    @override
    def after_training(self, constant: Rows, validation: Data | None) -> None:
        network = self._diffusion_network
        # The code explains nothing of vertices that stay at their mean: all variance is left.
        network.left[constant] = torch.from_numpy(self._variance[constant]).float()
        if validation is not None:
            calibrate_spread(network, self._blocks(*validation))

    def _blocks(self, X: NDArray, responses: Responses | Joint) -> Iterator[Block]:
        """Yield the pictures of each subject in blocks, with the network of its vertices."""
        first, start = 0, 0
        for part in responses.parts:
            rows, columns = np.arange(len(part)), start + np.arange(part.shape[1])
            model = self if len(responses.parts) == 1 else self._select_vertices(columns)
            for block in np.array_split(rows, -(-len(part) // BLOCK)) if len(columns) else ():
                scaled = torch.from_numpy(self._standardised(X[first + block]))
                yield model._diffusion_network, scaled, torch.from_numpy(part.read(block)), columns
            first, start = first + len(part), start + len(columns)

    @property
    def _diffusion_network(self) -> DiffusionNetwork:
        assert isinstance(self.network_, DiffusionNetwork)
        return self.network_

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

        def spread(network: Network, features: Tensor) -> Tensor:
            assert isinstance(network, DiffusionNetwork)
            return network.spread(features)

        return self._compute(self._validate_features(X), spread, BLOCK)
