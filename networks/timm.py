"""Networks of timm by name, with their weights."""

import inspect
from functools import cache
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config  # type: ignore[attr-defined]
from timm.layers.activations import QuickGELU
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from networks import packaged
from networks.errors import NetworkError
from networks.hub import HubFile
from networks.weights import Request, WeightsSource, drawing, load_into

# Classes whose output is one token for each patch.
TRANSFORMERS = (VisionTransformer, Eva, Beit)
HUB_NAMES = ("model.safetensors", "pytorch_model.bin")


def full_name(model: str, tag: str | None, label: str) -> str:
    """Return the full name of a network, with the tag of its weights."""
    if not timm.is_model(model):
        near = timm.list_models(f"*{model[:6]}*")[:8]
        raise NetworkError(
            f"{label}: timm has no model {model!r}"
            + (f"; near it: {', '.join(near)}" if near else "")
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{model}.*")]
    if tag is not None and tag not in tags:
        raise NetworkError(
            f"{label}: timm's {model} has no weights {tag!r}: choose from "
            f"{', '.join(tags) or 'none'}"
        )
    if tag is not None:
        return f"{model}.{tag}"
    # Without a tag timm takes its first; the full name records it in the key.
    default = timm.get_pretrained_cfg(model)
    return f"{model}.{default.tag}" if default and default.tag else model


def make(name: str, seed: int | None, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network of timm, with random weights of a seed (None: any).

    Return it with timm's settings of its preprocessing: `mean`, `std`, `input_size` and more.
    """
    with drawing(seed):
        module = timm.create_model(name, pretrained=False, **options)
    return module, resolve_model_data_config(module)  # type: ignore[no-untyped-call]


def classifiers(module: nn.Module) -> tuple[str, ...]:
    """Return the paths of a network's classifiers, which no feature depends on."""
    config: dict[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
    names = config.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def load_weights(module: nn.Module, name: str, request: Request, resample: bool = False) -> str:
    """Load the weights of a network of timm, unless random ones are requested; return their origin.

    They may lack the classifier, or have another one. Position embeddings may be resampled for
    pictures of another size.
    """
    if request.seed is not None:
        return request.seed_origin
    _check_activation(module, name, request.name)
    config: dict[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
    packages = []
    if name.partition(".")[0] == "tf_efficientnet_lite0":
        packages.append(lambda: packaged.efficientnet_lite0(module))
    hub_id = str(config.get("hf_hub_id") or f"timm/{name}")
    source = request.find(f"timm's {name}", HubFile(hub_id, HUB_NAMES), packages)
    state = _state(source, module, resample)
    load_into(module, state, source.origin, unused=classifiers(module))
    return source.origin


def _check_activation(module: nn.Module, name: str, label: str) -> None:
    """Check that weights trained with QuickGELU are not loaded into a network with GELU."""
    config: dict[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
    trained = any("quickgelu" in note.lower() for note in config.get("notes") or ())
    if not trained or any(isinstance(part, QuickGELU) for part in module.modules()):
        return
    model, _, tag = name.partition(".")
    variant = model.replace("_clip_", "_clip_quickgelu_")
    raise NetworkError(
        f"{label}: the weights {tag!r} of {model} were trained with QuickGELU, and timm builds "
        f"{model} with GELU: expected {variant}; write timm:{variant}/{tag} for a feature space, "
        f"network={variant}.{tag} for a model"
    )


def _state(source: WeightsSource, module: nn.Module, resample: bool) -> dict[str, Tensor]:
    """Read a published file, renaming its tensors to timm's names where they differ."""
    state, module_state = source.load(), module.state_dict()
    heads = tuple(f"{path}." for path in classifiers(module))
    body = [n for n in module_state if not n.startswith(heads)] if heads else list(module_state)
    is_timm_state = set(body) == {n for n in state if not (heads and n.startswith(heads))}
    if is_timm_state and not (
        resample and any(state[n].shape != module_state[n].shape for n in body)
    ):
        return state
    filters = inspect.getmodule(type(module))
    convert = getattr(filters, "checkpoint_filter_fn", None)
    try:
        return convert(state, module) if convert else state
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError):
        return state  # of another network: `load_into` reports the differences


@cache
def patch_size(name: str) -> int:
    """Return the size, in pixels, of the patches of a vision transformer of timm."""
    with torch.device("meta"):
        module = timm.create_model(name, pretrained=False)
    if not isinstance(module, TRANSFORMERS):
        raise NetworkError(
            f"{name} is not a vision transformer but {type(module).__name__}; expected one "
            "of timm's, such as vit_small_patch16_224 or "
            "vit_base_patch16_clip_quickgelu_224.openai"
        )
    return int(module.patch_embed.patch_size[0])


def make_transformer(name: str, seed: int | None, side: int) -> tuple[nn.Module, dict[str, Any]]:
    """Build a vision transformer of timm for pictures of a side that is a multiple of its patches.

    Return it with timm's settings of its preprocessing: `mean`, `std` and more.
    """
    patch = patch_size(name)
    if side % patch:
        near = max(patch, round(side / patch) * patch)
        raise NetworkError(
            f"{name} divides pictures into patches of {patch} pixels, and {side} is not a multiple "
            f"of {patch}: give it pictures of another size, --spaces pixels:{near}"
        )
    return make(name, seed, img_size=side)
