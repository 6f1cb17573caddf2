"""Pictures themselves as features, for models that learn from pictures: `pixels:SIDE`.

Its only layer, `rgb`, has 3 x SIDE x SIDE columns of uint8: red, then green, then blue, each row by
row from the top, so that `row.reshape(3, SIDE, SIDE)` is the picture. It has no weights.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from extract.backbone import Activation, Backbone, Keep, keep_copy
from extract.errors import ExtractError
from extract.layers import check_layers
from extract.spaces import Spec
from networks.weights import Request

MAX_SIDE = 1024


def load(spec: Spec, request: Request) -> Backbone:
    """Build a backbone that resizes pictures to the side that the model says; it has no weights."""
    if not re.fullmatch(r"[1-9]\d{0,3}", spec.model) or int(spec.model) > MAX_SIDE:
        raise ExtractError(
            f"{spec.name}: {spec.model!r} is not a side in pixels: write pixels:128, or another "
            f"whole number from 1 to {MAX_SIDE}"
        )
    if spec.weights is not None or (request.value is not None and request.seed is None):
        raise ExtractError(
            f"{spec.name}: pixels have no weights, found {spec.weights or request.value!r}: "
            "leave them out"
        )
    check_layers(spec, ["rgb"])
    side = int(spec.model)
    return Backbone(
        module=nn.Flatten(),
        key={
            "family": "pixels",
            "preprocessing": {"size": side, "crop": "centre square", "interpolation": "bicubic"},
        },
        origin="the pictures themselves",
        size=side,
        layers=["rgb"],
        preprocess=partial(resize, side=side),
        forward=_forward,
        default_layers=("rgb",),
        dtype="uint8",
    )


def resize(picture: Image.Image, side: int) -> Tensor:
    """Resize the central square of a picture, with antialiasing, to uint8 (3, side, side)."""
    edge = min(picture.size)
    left, top = ((length - edge) // 2 for length in picture.size)
    # Cropped first: with Pillow's `box`, pixels outside the square would affect its edges.
    square = picture.crop((left, top, left + edge, top + edge))
    small = square.resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()


def _forward(batch: Tensor, names: Sequence[str], keep: Keep = keep_copy) -> dict[str, Any]:
    return {name: keep(name, Activation(vector=batch.flatten(1))) for name in names}
