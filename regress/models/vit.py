"""Vision transformer from timm, fine-tuned on responses to pictures."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from base import say, sha256_files
from networks import NetworkError, Request
from networks.timm import full_name, load_weights, make_transformer, patch_size
from networks.tuning import check_tuning, put, tune
from regress.adversarial import DownsampledPicture, Generative, Generator
from regress.errors import RegressError
from regress.layers.network import Network
from regress.layers.vit_backbone import VitBackbone, remove_head, side_of
from regress.models.mlp import make_mlp
from regress.parameter_checks import check_numbers

# Maps bytes of pictures to -1 to 1.
MIDDLE = 127.5


class VisionTransformer(Generative):
    """Vision transformer on pictures, which all vertices share; each group reads its tokens.

    Each group of vertices (an ROI, a hemisphere: `--group_by`) has residual blocks on the class
    token and the tokens of the patches, averaged over a grid of places. `tune` selects the trained
    weights of the transformer. All groups stop together, since they share it.

    The other parameters are those of `Training`, `Critics`, `Noise` and `SubjectVectors`.

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

    References
    ----------
    Dosovitskiy et al. (2021). An image is worth 16x16 words. ICLR. Hu et al. (2022). LoRA. ICLR.
    """

    network: str = "vit_small_patch16_224"
    weights: str = ""
    tune: str = "all"
    trunk_lr: float = 0.1
    grid: int = 4
    width: int = 64
    blocks: int = 1
    dropout: float = 0.3
    batch: int = 64

    limits: ClassVar = {"width": 1, "blocks": 0, "grid": 0}
    free = ("trunk_lr",)
    together = True

    @property
    @override
    def block(self) -> int:
        return int(self.batch)

    @property
    @override
    def untrained(self) -> tuple[str, ...]:
        return (self.network,) if self._request.seed is not None else ()

    @property
    @override
    def pretrained(self) -> tuple[str, ...]:
        return () if self.untrained else (self.network,)

    @override
    def sources(self) -> dict[str, str]:
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

    @override
    def check_parameters(self) -> None:
        super().check_parameters()
        check_numbers(vars(self), ["trunk_lr"])
        try:
            check_tuning(self.tune)
            patch_size(self._name)
            if self.weights and self._request.seed is None:
                self._request.find(self._name, None, [])
        except NetworkError as error:
            raise ValueError(str(error)) from error

    @override
    def scale_of(
        self, X: NDArray[np.float32 | np.uint8], start: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # To -1..1; the transformer applies its own mean and deviation.
        side_of(X.shape[1])
        if X.dtype != np.uint8 and (X.min() < 0 or X.max() > 255):
            raise RegressError(
                f"vit: found features from {X.min():g} to {X.max():g}, expected the bytes of "
                "pictures, 0 to 255: --spaces pixels:128"
            )
        middle = np.full(X.shape[1], MIDDLE, np.float32)
        return middle, middle.copy()

    @override
    def make_network(self, n_features: int, member: Tensor) -> Generator:
        # The transformer's own weights are loaded later.
        backbone = VitBackbone(self._name, side_of(n_features), self.grid)
        tune(backbone.module, self.tune)
        network = make_mlp(self, backbone.n_outputs + self.noise, member, backbone)
        # LoRA matrices are new weights, which learn at the full rate.
        if not self.tune.startswith("lora"):
            network.rates = {"trunk.": self.trunk_lr}
        return self.configure(network, self.width)

    @override
    def critic_view(self, n_features: int) -> tuple[nn.Module, int]:
        view = DownsampledPicture(3, side_of(n_features))
        return view, view.columns

    @override
    def prepare(self, network: Network) -> None:
        backbone = network.trunk
        assert isinstance(backbone, VitBackbone)
        module, _ = make_transformer(self._name, self._request.seed, backbone.side)
        origin = load_weights(module, self._name, self._request, resample=True)
        if not hasattr(self, "origin_"):
            say(f"{self._name}: weights from {origin}")
        put(backbone.module, remove_head(module).state_dict())
        self.origin_ = origin

    @override
    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        origin = {"weights": self.origin_} if hasattr(self, "origin_") else {}
        return super().cost(vertices) | origin
