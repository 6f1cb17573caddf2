"""Where the numbers are computed: himalaya's backend, and arrays to and from it."""

import os
import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from himalaya.backend import get_backend, set_backend
from numpy.typing import NDArray

from execute import Devices
from regress.errors import RegressError

Floats = NDArray[np.floating]
BACKENDS = {"cpu": "numpy", "torch": "torch", "cuda": "torch_cuda"}


def choose_devices(device: str) -> list[str]:
    """Turn the user's words for devices into them.

    Parameters
    ----------
    device : str
        "auto" (a GPU if torch sees one), "cpu" (numpy), "cuda" (torch on the GPU), "cuda:1" or
        "torch" (torch on the CPU: the GPU's code path without a GPU); several of one kind with
        commas between.
    """
    refuse_skipped_fits()
    if device == "auto":
        import torch

        return ["cuda" if torch.cuda.is_available() else "cpu"]
    names = device.split(",")
    fault = _fault(names)
    if fault:
        gpus = ", ".join(_gpus()) or "no GPU"
        raise RegressError(f"--device {device}: {fault}; torch sees {gpus} here")
    return names


def _fault(names: Sequence[str]) -> str:
    """Say what is wrong with devices, and what was expected; nothing if they can be used."""
    for name in names:
        if not re.fullmatch(r"cpu|torch|cuda(:\d+)?", name):
            one = "auto, cpu, torch, cuda or cuda:N"
            return f"found {name!r}; expected {one}; or several, with commas between, none auto"
    if len({kind_of(name) for name in names}) > 1:
        # Rounding differs: a model's numbers would depend on which device was free.
        return "of several kinds; expected one, such as cuda:0,cuda:1 or cpu,cpu"
    if len(names) > 1 and "cuda" in names:
        return "cuda may be any of them; expected the number of each, such as cuda:0,cuda:1"
    if kind_of(names[0]) == "cuda":
        there = _gpus()
        for name in names:
            if name not in there and not (name == "cuda" and there):
                return f"there is no {name}; expected one that is there, or auto or cpu"
    return ""


def kind_of(name: str) -> str:
    """Give a device's kind, which decides himalaya's backend."""
    return name.partition(":")[0]


def backend_on(devices: Sequence[str]) -> str:
    """Return where models are fitted, in words for the user.

    Returns
    -------
    str
        "on cpu", "on cuda:0, cuda:1" or "in jobs of Slurm".
    """
    if not devices:
        return "in jobs of Slurm"
    return f"on {', '.join(devices)}"


def _gpus() -> list[str]:
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def place_of(device: str) -> Devices:
    """Say how the machine that does the work chooses its devices."""
    return Devices(partial(choose_devices, device), use_device)


def use_device(device: str) -> str:
    """Choose himalaya's backend; it is one for the whole process."""
    refuse_skipped_fits()
    if device == "auto":
        (device,) = choose_devices(device)
    if device not in BACKENDS:
        raise RegressError(f"--device {device}: expected auto, {', '.join(BACKENDS)}")
    try:
        set_backend(BACKENDS[device])
    except RuntimeError as error:
        raise RegressError(f"--device {device}: {error}; choose auto or cpu") from error
    return BACKENDS[device]


def refuse_skipped_fits() -> None:
    """Refuse to fit where himalaya would return invented weights."""
    if os.environ.get("HIMALAYA_SKIP_FIT"):
        raise RegressError(
            "the environment variable HIMALAYA_SKIP_FIT is set: himalaya would skip the fit and "
            "return invented weights; unset it (unset HIMALAYA_SKIP_FIT) and run again"
        )


def to_numpy(array: object) -> NDArray:
    """Bring an array of himalaya's backend to numpy, in main memory."""
    plain: NDArray = np.asarray(get_backend().to_numpy(array))
    return plain
