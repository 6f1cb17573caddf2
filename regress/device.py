"""Where the numbers are computed: himalaya's backend, and arrays to and from it."""

import os

import numpy as np
from himalaya.backend import get_backend, set_backend
from numpy.typing import NDArray

from regress.errors import RegressError

Floats = NDArray[np.floating]


def use_device(device: str) -> str:
    """Choose himalaya's backend; it is one for the whole process.

    Parameters
    ----------
    device : str
        "auto" (a GPU if torch sees one), "cpu" (numpy), "cuda" (torch on the GPU) or "torch"
        (torch on the CPU: the GPU's code path without a GPU).

    Returns
    -------
    str
        The name of himalaya's backend.

    Raises
    ------
    RegressError
        If the device is not there, or himalaya was told to skip fitting.
    """
    refuse_skipped_fits()
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = {"cpu": "numpy", "torch": "torch", "cuda": "torch_cuda"}
    if device not in names:
        raise RegressError(f"--device {device}: expected auto, {', '.join(names)}")
    try:
        set_backend(names[device])
    except RuntimeError as error:
        raise RegressError(f"--device {device}: {error}; choose auto or cpu") from error
    return names[device]


def refuse_skipped_fits() -> None:
    """Refuse to fit where himalaya would return invented weights.

    Raises
    ------
    RegressError
        If the environment variable HIMALAYA_SKIP_FIT is set.
    """
    if os.environ.get("HIMALAYA_SKIP_FIT"):
        raise RegressError(
            "the environment variable HIMALAYA_SKIP_FIT is set: himalaya would skip the fit and "
            "return invented weights; unset it (unset HIMALAYA_SKIP_FIT) and run again"
        )


def to_numpy(array: object) -> NDArray:
    """Bring an array of himalaya's backend to numpy, in main memory.

    Parameters
    ----------
    array : array
        Of whichever backend.

    Returns
    -------
    array
        The same numbers.
    """
    plain: NDArray = np.asarray(get_backend().to_numpy(array))
    return plain
