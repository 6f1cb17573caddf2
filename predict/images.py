"""Pictures from Python: paths, PIL pictures, arrays and tensors, as RGB squares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from predict.errors import PredictError
from predict.pictures import decode, open_source, to_square


def to_pictures(images: Any) -> Iterator[Image.Image]:
    """Yield the RGB square of each of some pictures, which `Encoder.predict` describes."""
    if isinstance(images, str | Path):
        for picture in open_source(Path(images)).read():
            yield decode(picture)
    elif isinstance(images, Image.Image):
        yield to_square(images, "picture")
    elif hasattr(images, "ndim") and images.ndim < 4:
        yield _from_array(images)
    else:
        n_images = 0
        for image in images:
            n_images += 1
            yield from to_pictures(image)
        if not n_images:
            raise PredictError("images: none given; expected at least one picture")


def _from_array(image: Any) -> Image.Image:
    is_tensor = not isinstance(image, np.ndarray)
    values = np.asarray(image.detach().cpu()) if is_tensor else image
    if is_tensor and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)) or 0 in values.shape:
        kind = "tensor of (3, height, width)" if is_tensor else "array of (height, width, 3)"
        raise PredictError(
            f"images: found shape {tuple(image.shape)}, expected a {kind}, or (height, width)"
        )
    if values.dtype != np.uint8:
        values = _to_bytes(values)
    return to_square(Image.fromarray(np.ascontiguousarray(values)), "picture")


def _to_bytes(values: np.ndarray) -> np.ndarray:
    is_float = np.issubdtype(values.dtype, np.floating)
    low, high = (float(values.min()), float(values.max())) if is_float else (0.0, 0.0)
    if not is_float or low < 0 or high > 1:
        description = f"{values.dtype}" + (f" from {low:g} to {high:g}" if is_float else "")
        raise PredictError(f"images: found {description}, expected uint8, or floats from 0 to 1")
    return np.asarray((values * 255).round(), np.uint8)
