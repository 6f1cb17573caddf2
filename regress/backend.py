"""Choose the devices of a fit, set himalaya's backend, and bring arrays back to numpy."""

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
    """List the devices that the option --device names, and check that they can be used.

    Parameters
    ----------
    device : str
        "auto" (a GPU if torch sees one), "cpu" (numpy), "cuda" (torch on the GPU), "cuda:1", or
        "torch" (torch on the CPU: the GPU's code path without a GPU). Several of one kind are
        separated by commas.
    """
    refuse_skipped_fits()
    if device == "auto":
        import torch

        return ["cuda" if torch.cuda.is_available() else "cpu"]
    names = device.split(",")
    fault = _find_fault(names)
    if fault:
        gpus = ", ".join(_gpus()) or "no GPU"
        raise RegressError(f"--device {device}: {fault}; torch sees {gpus} here")
    return names


def _find_fault(names: Sequence[str]) -> str:
    """Describe why devices cannot be used, and what was expected; empty if they can."""
    for name in names:
        if not re.fullmatch(r"cpu|torch|cuda(:\d+)?", name):
            expected = "auto, cpu, torch, cuda or cuda:N"
            return (
                f"found {name!r}; expected {expected}; or several, with commas between, none auto"
            )
    if len({device_kind(name) for name in names}) > 1:
        # Rounding differs between kinds: the numbers would depend on which device was free.
        return "of several kinds; expected one, such as cuda:0,cuda:1 or cpu,cpu"
    if len(names) > 1 and "cuda" in names:
        return "cuda names no particular GPU; expected numbers, such as cuda:0,cuda:1"
    if device_kind(names[0]) == "cuda":
        gpus = _gpus()
        for name in names:
            if name not in gpus and not (name == "cuda" and gpus):
                return f"found no {name}; expected an available GPU, auto or cpu"
    return ""


def device_kind(name: str) -> str:
    """Return a device's kind, "cpu", "torch" or "cuda", which decides himalaya's backend."""
    return name.partition(":")[0]


def describe_devices(devices: Sequence[str]) -> str:
    """Return "on cpu", "on cuda:0, cuda:1" and so on; "in jobs of Slurm" if no device is named."""
    if not devices:
        return "in jobs of Slurm"
    return f"on {', '.join(devices)}"


def _gpus() -> list[str]:
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def make_place(device: str) -> Devices:
    """Return how the machine that runs the work lists its devices and starts to use one."""
    return Devices(partial(choose_devices, device), use_device)


def use_device(device: str) -> str:
    """Set himalaya's backend for the whole process, and return its name."""
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
    """Check that himalaya is not set to skip fits, when it would return invented weights."""
    if os.environ.get("HIMALAYA_SKIP_FIT"):
        raise RegressError(
            "the environment variable HIMALAYA_SKIP_FIT is set: himalaya would skip the fit and "
            "return invented weights; unset it (unset HIMALAYA_SKIP_FIT) and run again"
        )


def to_numpy(array: object) -> NDArray:
    """Return an array of himalaya's backend as a numpy array, in main memory."""
    values: NDArray = np.asarray(get_backend().to_numpy(array))
    return values
