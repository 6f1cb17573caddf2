"""Vision transformer from timm, fine-tuned on responses to pictures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from base import say, sha256_files
from networks import NetworkError, Request
from networks.timm import full_name, load_weights, make_transformer, patch_size
from networks.tuning import check_tuning, put, tune
from regress.adversarial import DownsampledPicture, Generative, Generator
from regress.errors import RegressError
from regress.layers.network import Network
from regress.layers.readout import check_memory, check_whole
from regress.layers.vit_backbone import VitBackbone, remove_head, side_of
from regress.models.shallow import ShallowGenerator

# Maps bytes of pictures to -1 to 1.
MIDDLE = 127.5


class VisionTransformer(Generative):
    """Vision transformer on pictures, which all vertices share; each group reads its tokens.

    Each group of vertices (an ROI, a hemisphere: `--group_by`) has residual blocks on the class
    token and the tokens of the patches, averaged over a grid of places. `tune` selects the trained
    weights of the transformer. All groups stop together, since they share it.

    Parameters
    ----------
    network : str
        timm's name of a vision transformer, with or without the tag of its weights:
        vit_small_patch16_224, vit_base_patch16_clip_quickgelu_224.openai ...
    weights : str
        Source of its weights: a file; random:SEED, for an untrained network; or empty, for timm's
        weights from the hub.
    tune : str
        Trained weights: all; last:N, of the last N blocks; lora:R, matrices of rank R that are
        added to each layer of the blocks; or none.
    trunk_lr : float
        Learning rate of the transformer, as a share of `lr`.
    grid : int
        Largest side of the grid of places that a group reads besides the class token; 0 for none.
    width : int
        Number of units that a group's vertices read.
    blocks : int
        Number of residual blocks of a group.
    dropout : float
        Share of a group's inputs, and of each block's inner units, that is left out at each step.
    batch : int
        Largest number of pictures in a batch.
    **training
        The parameters of `Generative`.

    References
    ----------
    Dosovitskiy et al. (2021). An image is worth 16x16 words. ICLR. Hu et al. (2022). LoRA. ICLR.
    """

    together = True

    def __init__(
        self,
        network: str = "vit_small_patch16_224",
        weights: str = "",
        tune: str = "all",
        trunk_lr: float = 0.1,
        grid: int = 4,
        width: int = 64,
        blocks: int = 1,
        dropout: float = 0.3,
        batch: int = 64,
        **training: Any,
    ) -> None:
        super().__init__(dropout=dropout, batch=batch, **training)
        self.network = network
        self.weights = weights
        self.tune = tune
        self.trunk_lr = trunk_lr
        self.grid = grid
        self.width = width
        self.blocks = blocks

    @property
    def block(self) -> int:
        """Number of pictures predicted at once."""
        return self.batch

    @property
    def untrained(self) -> tuple[str, ...]:
        """Name of the transformer, if its weights were random before training."""
        return (self.network,) if self._request.seed is not None else ()

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Name of the transformer, if its weights were pretrained."""
        return () if self.untrained else (self.network,)

    def sources(self) -> dict[str, str]:
        """Return a digest of the file of the weights.

        Returns
        -------
        dict of str to str
            Digest of `weights`; empty where they are timm's, or random.
        """
        if not self.weights or self._request.seed is not None:
            return {}
        return {"weights": sha256_files([Path(self.weights).expanduser()])[0]}

    @property
    def _request(self) -> Request:
        option, variable = "--params.weights ", 'PARAMS="weights=FILE"'
        return Request(self.network, self.weights or None, option, variable)

    @property
    def _name(self) -> str:
        model, _, tag = self.network.partition(".")
        return full_name(model, tag or None, f"--params.network {self.network}")

    def network_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the network, without its learning rate.

        Returns
        -------
        dict
            Values by name.
        """
        return {n: v for n, v in super().network_parameters().items() if n != "trunk_lr"}

    def check_parameters(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError
            If one is out of range; the message names it.
        """
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"width": 1, "blocks": 0, "grid": 0})
        if not isinstance(self.trunk_lr, int | float) or not 0 <= self.trunk_lr < math.inf:
            raise ValueError(f"trunk_lr: found {self.trunk_lr!r}, expected a number from 0 on")
        try:
            check_tuning(self.tune)
            patch_size(self._name)
            if self.weights and self._request.seed is None:
                self._request.find(self._name, None, [])
        except NetworkError as error:
            raise ValueError(str(error)) from error

    def scale_of(
        self, X: NDArray[np.float32 | np.uint8], start: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the scale of pixels to -1..1; the transformer applies its own mean and deviation.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features of the training pictures.
        start : dict of str to array, optional
            State that the training begins from.

        Returns
        -------
        centre, scale : array of float32 (n_features,)
            The same values for all pixels.

        Raises
        ------
        RegressError
            If the features are no pictures.
        """
        side_of(X.shape[1])
        if X.dtype != np.uint8 and (X.min() < 0 or X.max() > 255):
            raise RegressError(
                f"vit: found features from {X.min():g} to {X.max():g}, expected the bytes of "
                "pictures, 0 to 255: --spaces pixels:128"
            )
        whole = np.full(X.shape[1], MIDDLE, np.float32)
        return whole, whole.copy()

    def make_network(self, n_features: int, member: Tensor) -> Generator:
        """Make transformer, trunks and readouts; the transformer's weights are loaded later.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Generator
            Untrained network, which predicts the mean response.
        """
        eye = VitBackbone(self._name, side_of(n_features), self.grid)
        tune(eye.module, self.tune)
        n_inputs = eye.n_outputs + self.noise
        width, n_groups = self.width, int(member.max()) + 1
        weights = width * (n_inputs + 1 + self.blocks * 2 * (width + 1))
        check_memory(n_groups, weights, self.batch * width * (1 + 4 * self.blocks))
        network = VisionTransformerGenerator(
            eye, n_inputs, member, width, self.blocks, self.dropout
        )
        # LoRA matrices are new weights, which learn at the full rate.
        if not self.tune.startswith("lora"):
            network.rates = {"trunk.": self.trunk_lr}
        return self.configure(network, width)

    def critic_view(self, n_features: int) -> tuple[nn.Module, int]:
        """Return the critics' view of a picture: its average over a small grid.

        Parameters
        ----------
        n_features : int
            Columns of the features.

        Returns
        -------
        Module
            From pixels to what they see.
        int
            Its columns.
        """
        sight = DownsampledPicture(3, side_of(n_features))
        return sight, sight.columns

    def prepare(self, network: Network) -> None:
        """Load the transformer's weights into a network before its training.

        Parameters
        ----------
        network : Network
            Network from `make_network`; changed in place.
        """
        assert isinstance(network, VisionTransformerGenerator)
        state, origin = self._trained(network.trunk.side)
        put(network.trunk.module, state)
        self.origin_ = origin

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Return the cost of training some vertices, and the source of the transformer's weights.

        Parameters
        ----------
        vertices : array of int (n,)
            Columns of the responses.

        Returns
        -------
        dict
            Cost as of every trained model, and `weights`, the source in words.
        """
        origin = {"weights": self.origin_} if hasattr(self, "origin_") else {}
        return super().cost(vertices) | origin

    def _trained(self, side: int) -> tuple[dict[str, Tensor], str]:
        """Return the transformer's initial weights, and their source."""
        module, _ = make_transformer(self._name, self._request.seed, side)
        origin = load_weights(module, self._name, self._request, resample=True)
        if not hasattr(self, "origin_"):
            say(f"{self._name}: weights from {origin}")
        return remove_head(module).state_dict(), origin


class VisionTransformerGenerator(ShallowGenerator):
    """Network of `shallow` on the tokens of a transformer that all vertices share.

    Parameters
    ----------
    trunk : VitBackbone
        The transformer.
    n_inputs : int
        Number of the transformer's outputs, and of noise.
    member : Tensor of int (n_vertices,)
        The group of each vertex.
    width, blocks : int
        Sizes of each group's network.
    dropout : float
        Share of units that is left out, as in `mlp`.
    """

    shared = ("trunk.",)

    def __init__(
        self,
        trunk: VitBackbone,
        n_inputs: int,
        member: Tensor,
        width: int,
        blocks: int,
        dropout: float,
    ) -> None:
        super().__init__(n_inputs, member, width, blocks, dropout)
        self.trunk = trunk

    def encode_pictures(self, features: Tensor) -> Tensor:
        """Compute the tokens (n_images, n_outputs) of pixels in -1..1, for all draws of noise."""
        return self.trunk(features)
