"""Pictures from Python: paths, PIL pictures, arrays and tensors, as RGB squares."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from predict.errors import PredictError
from predict.pictures import decode, open_source, to_square


def to_pictures(images: Any) -> Iterator[Image.Image]:
    """Yield the RGB square of each of some pictures, which `Encoder.predict` describes."""
    if isinstance(images, str | Path):
        if not str(images):
            raise PredictError("images: found an empty path, expected a picture or a folder")
        for picture in open_source(Path(images)).read():
            yield decode(picture)
    elif isinstance(images, Image.Image):
        yield to_square(images, "picture")
    elif _is_array(images) and images.ndim < 4:
        yield _from_array(images)
    elif isinstance(images, Iterable) and not isinstance(images, bytes | Mapping | np.generic):
        n_images = 0
        for image in images:
            n_images += 1
            yield from to_pictures(image)
        if not n_images:
            raise PredictError("images: none given; expected at least one picture")
    else:
        raise PredictError(
            f"images: found {type(images).__name__}, expected paths, PIL pictures, arrays, tensors"
        )


def _is_array(images: Any) -> bool:
    return isinstance(images, np.ndarray) or hasattr(images, "detach")


def _from_array(image: Any) -> Image.Image:
    is_tensor = not isinstance(image, np.ndarray)
    if is_tensor:
        # numpy has no bfloat16.
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image
    values = np.asarray(image)
    if is_tensor and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)) or 0 in values.shape:
        kind = "a tensor of (3, height, width)" if is_tensor else "an array of (height, width, 3)"
        raise PredictError(
            f"images: found shape {tuple(image.shape)}, expected {kind}, or (height, width)"
        )
    if values.dtype != np.uint8:
        values = _to_bytes(values)
    return to_square(Image.fromarray(np.ascontiguousarray(values)), "picture")


def _to_bytes(values: np.ndarray) -> np.ndarray:
    is_float = np.issubdtype(values.dtype, np.floating)
    low, high = (float(values.min()), float(values.max())) if is_float else (0.0, 0.0)
    # NaN is neither below 0 nor above 1.
    if not is_float or not np.isfinite([low, high]).all() or low < 0 or high > 1:
        description = f"{values.dtype}" + (f" from {low:g} to {high:g}" if is_float else "")
        raise PredictError(f"images: found {description}, expected uint8, or floats from 0 to 1")
    return np.asarray((values * 255).round(), np.uint8)
