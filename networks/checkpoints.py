"""Safe reader of files of weights in the formats of various training programs.

Code in a file is never run: pickles are read by torch with `weights_only`, archives of TorchScript
by `networks.torchscript`.
"""

import argparse
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from base import say
from networks.errors import NetworkError
from networks.torchscript import is_archive, load_archive

# Names of the state in files of training programs, in timm's order: weights averaged over the
# training, then the last weights.
AVERAGED = ("state_dict_ema", "model_ema")
LAST = ("state_dict", "model")
# Prefixes of all names where a network was wrapped for several devices, or compiled.
PREFIXES = ("module.", "_orig_mod.")
EXPECTED = "expected a .safetensors file, or a PyTorch file that holds tensors alone"


def load_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file of weights.

    It is a safetensors file, a file of `torch.save` (a state, alone or under "state_dict", "model",
    "state_dict_ema" or "model_ema"), or a TorchScript archive.
    """
    try:
        checkpoint = _read(path)
    # A damaged file raises one of many errors, which all mean the same to the user.
    except Exception as error:
        raise NetworkError(
            f"{path}: cannot be read as weights ({_reason(error)}); {EXPECTED}. If you trust the "
            'file, save its tensors alone: torch.save(network.state_dict(), "weights.pth")'
        ) from error
    state = _unwrap(checkpoint, path)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise NetworkError(f"{path}: expected a mapping of names to tensors")
    return _strip_prefixes(state)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if is_archive(path):
        return load_archive(path)
    # Programs store the options of the training with the weights, which hold no code.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrap(checkpoint: Any, path: Path) -> Any:
    while isinstance(checkpoint, Mapping):
        names = [n for n in AVERAGED + LAST if isinstance(checkpoint.get(n), Mapping)]
        if not names:
            break
        if names[0] in AVERAGED and len(names) > 1:
            say(f"{path}: holds {' and '.join(names)}; {names[0]} is taken, as timm does")
        checkpoint = checkpoint[names[0]]
    return checkpoint


def _strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # The metadata hold versions of modules, by which libraries rename tensors of older files.
    metadata = getattr(state, "_metadata", None)
    while state:
        common = [p for p in PREFIXES if all(name.startswith(p) for name in state)]
        if not common:
            break
        state = {name.removeprefix(common[0]): tensor for name, tensor in state.items()}
        metadata = metadata and {n.removeprefix(common[0]): v for n, v in metadata.items()}
    ordered = OrderedDict(state)
    if metadata:
        ordered._metadata = metadata  # type: ignore[attr-defined]
    return ordered


def _reason(error: Exception) -> str:
    """Return why a file could not be read; torch's own text advises to run code in the file."""
    text = " ".join(str(error).split())
    if foreign := re.search(r"Unsupported (?:global|class|operand)[^:]*: (?:GLOBAL )?(\S+)", text):
        return f"it holds more than tensors: {foreign[1]}"
    if foreign := re.match(r"it asks for (\S+)", text):
        return f"it holds more than tensors: {foreign[1]}"
    if not isinstance(error, SafetensorError):
        return f"it is damaged, or of another kind: {type(error).__name__}"
    return text[:160]
