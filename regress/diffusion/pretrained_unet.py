"""Denoiser that is initialised with the UNet of a latent diffusion model."""

import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional

from base import DocumentError, machine_memory, read_json
from regress.errors import RegressError
from regress.layers.network import Axes
from regress.layers.readout import COPIES, repeat_per_group

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model"
KIND = "UNet2DConditionModel"


class PretrainedUNet(nn.Module):
    """Estimates velocities with a UNet, which all groups share; with random weights until `load`.

    The code is reshaped to channels x height x width, padded with 0; a group's units of the picture
    are the one token that the UNet attends to.

    Attributes
    ----------
    token : Tensor (n_groups, width, n_units)
        Weights from the trunk's units to the token.
    config : Tensor of uint8 (n,)
        The UNet's configuration as JSON, with which a saved model needs no folder.
    """

    axes: ClassVar[Axes] = {"token": ("group", 0)}
    shared: ClassVar[tuple[str, ...]] = ("unet.", "config")

    config: Tensor

    def __init__(self, config: dict[str, Any], n_groups: int, n_latent: int, width: int) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel.from_config(config).train()
        text = json.dumps(config, sort_keys=True).encode()
        self.register_buffer("config", torch.tensor(list(text), dtype=torch.uint8))
        full = self.unet.config
        initial = torch.randn(width, full.cross_attention_dim) / width**0.5
        self.token = repeat_per_group(initial, n_groups)
        channels, halvings = full.in_channels, len(full.block_out_channels) - 1
        side = 2**halvings
        while channels * side**2 < n_latent:
            side += 2**halvings
        self._shape = channels, side, side

    def load(self, folder: str | Path) -> None:
        """Load the weights of a folder."""
        path = unet_files(folder)[0].parent
        try:
            saved = UNet2DConditionModel.from_pretrained(
                path, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
            )
            self.unet.load_state_dict(saved.state_dict())
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RegressError(f"unet {path}: cannot be loaded: {reason}") from error

    def forward(self, noisy: Tensor, levels: Tensor, units: Tensor) -> Tensor:
        """Estimate velocities (n_images, n_groups, n_latent) of noisy codes."""
        n, n_groups, n_latent = noisy.shape
        channels, height, width = self._shape
        padded = functional.pad(noisy, (0, channels * height * width - n_latent))
        tokens = torch.bmm(units, self.token).transpose(0, 1)
        velocity: Tensor = self.unet(
            padded.reshape(n * n_groups, *self._shape),
            levels.repeat_interleave(n_groups),
            encoder_hidden_states=tokens.reshape(n * n_groups, 1, -1),
        ).sample
        return velocity.reshape(n, n_groups, -1)[..., :n_latent]


def unet_files(folder: str | Path) -> list[Path]:
    """List the files of a UNet, or of the UNet in a pipeline, as diffusers saves them."""
    root = Path(folder).expanduser()
    path = root / "unet" if (root / "unet" / CONFIG).is_file() else root
    expected = f"expected a folder with {CONFIG} and {WEIGHTS}.safetensors, or one with unet/"
    if not (path / CONFIG).is_file():
        problem = f"holds no {CONFIG}" if root.is_dir() else "there is no such folder"
        raise RegressError(f"unet {root}: {problem}; {expected}")
    weights = sorted(path.glob(f"{WEIGHTS}*.safetensors*"))
    if not weights:
        pickles = ", ".join(sorted(p.name for p in path.glob("*.bin")))
        note = f"; {pickles} is a pickle, which is not opened" if pickles else ""
        raise RegressError(f"unet {path}: found no {WEIGHTS}.safetensors{note}; {expected}")
    return [path / CONFIG, *weights]


def unet_config(folder: str | Path) -> dict[str, Any]:
    """Read and check the configuration of a UNet."""
    path = unet_files(folder)[0]
    try:
        config: dict[str, Any] = read_json(path)
        kind = config["_class_name"]
    except (DocumentError, KeyError) as error:
        raise RegressError(f"unet {path}: is not what diffusers writes: {error!r}") from error
    if kind != KIND:
        raise RegressError(f"unet {path}: found a {kind}, expected a {KIND}")
    ins, outs = config.get("in_channels", 4), config.get("out_channels", 4)
    if ins != outs:
        raise RegressError(f"unet {path}: takes {ins} channels and gives {outs}, expected as many")
    if not isinstance(config.get("cross_attention_dim", 1280), int):
        raise RegressError(f"unet {path}: found several cross_attention_dim, expected one number")
    for name in ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type"):
        if config.get(name) is not None:
            raise RegressError(
                f"unet {path}: has {name} {config[name]!r}, which asks for more than a picture's "
                "embedding; expected a UNet like that of Stable Diffusion 1 or 2"
            )
    return config


def check_unet(folder: str | Path) -> None:
    """Check that a UNet can be used, and that memory can hold it, before it is made."""
    config = unet_config(folder)
    with torch.device("meta"):
        count = sum(w.numel() for w in UNet2DConditionModel.from_config(config).parameters())
    needed = 4 * COPIES * count
    available = machine_memory()
    if needed > available:
        raise RegressError(
            f"unet {folder}: its {count:,} weights need {needed / 1e9:.0f} GB to train, and this "
            f"machine has {available / 1e9:.0f} GB: give a smaller one, or none"
        )
