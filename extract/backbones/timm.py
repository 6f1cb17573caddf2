"""Networks of timm by name; SAM's image encoder is `samvit_base_patch16`.

Layers: `features` is timm's `forward_features` (after the last norm or neck), `pooled` its
`forward_head(…, pre_logits=True)`, and `blocks.N` the output of `forward_intermediates` for index
N, before the last norm: a transformer's block, a convolutional network's stage. All are computed in
one pass.
"""

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.data import create_transform  # type: ignore[attr-defined]
from torch import Tensor, nn

from extract.backbone import (
    Activation,
    Backbone,
    Keep,
    freeze,
    keep_copy,
    to_activation,
)
from extract.layers import check_layers
from extract.spaces import Spec
from networks.timm import classifiers, full_name, load_weights, make
from networks.weights import Request, weights_key


def load(spec: Spec, request: Request) -> Backbone:
    """Build a network of timm with its weights."""
    name = full_name(spec.model, spec.weights, spec.name)
    module, preprocessing = make(name, request.seed)
    blocks = _blocks(freeze(module))
    layers = ["features", "pooled", *blocks]
    check_layers(spec, layers)
    origin = load_weights(module, name, request)
    return Backbone(
        module=module,
        key={
            "family": "timm",
            "model": name,
            "weights": weights_key(module, request.seed, "timm", classifiers(module)),
            "preprocessing": {k: _as_list(v) for k, v in preprocessing.items()},
            # Earlier versions took rows for channels in `features` of these networks, so that
            # their key must differ; other keys are unchanged.
            **({"maps": "NHWC"} if _channels_last(module) else {}),
        },
        origin=origin,
        size=int(preprocessing["input_size"][1]),
        layers=layers,
        preprocess=create_transform(**preprocessing, is_training=False),
        forward=_forward(module, blocks),
        default_layers=("pooled",),
        former_weights=partial(weights_key, module, request.seed, "timm"),
    )


def _blocks(module: nn.Module) -> dict[str, int]:
    if not hasattr(module, "forward_intermediates"):
        return {}
    blocks = getattr(module, "blocks", None)
    info = getattr(module, "feature_info", None)
    # In transformers the indices are those of blocks, in convolutional networks of stages.
    if isinstance(info, list | tuple) and len(info):
        count = len(info)
    else:
        count = len(blocks) if isinstance(blocks, nn.Sequential | nn.ModuleList) else 0
    return {f"blocks.{number}": number for number in range(count)}


def _channels_last(module: nn.Module) -> bool:
    return getattr(module, "output_fmt", "NCHW") == "NHWC"


def _forward(module: Any, blocks: dict[str, int]) -> Any:
    own_class = getattr(module, "cls_token", None) is not None
    prefix = int(getattr(module, "num_prefix_tokens", own_class))
    # Registers also precede the patches; some networks have them and no class token.
    has_class = bool(getattr(module, "has_class_token", own_class))
    options: dict[str, Any] = {"output_fmt": "NCHW", **_prefix_option(module, prefix)}
    layout = {"has_class": has_class, "channels_last": _channels_last(module)}

    def forward(batch: Tensor, names: Sequence[str], keep: Keep = keep_copy) -> dict[str, Any]:
        activations: dict[str, Any] = {}
        indices = sorted(blocks[name] for name in names if name in blocks)
        inner, features = [], None
        if not indices:
            features = module.forward_features(batch)
        elif {"features", "pooled"} & set(names):
            features, inner = module.forward_intermediates(batch, indices=indices, **options)
        else:
            inner = module.forward_intermediates(
                batch, indices=indices, intermediates_only=True, stop_early=True, **options
            )
        if "features" in names:
            activations["features"] = keep("features", to_activation(features, prefix, **layout))
        if "pooled" in names:
            pooled = to_activation(module.forward_head(features, pre_logits=True))
            activations["pooled"] = keep("pooled", pooled)
        for index, output in zip(indices, inner, strict=True):
            spatial, tokens = output if isinstance(output, tuple) else (output, None)
            cls = tokens[:, 0] if tokens is not None and has_class else None
            name = f"blocks.{index}"
            activations[name] = keep(name, Activation(spatial=spatial, cls=cls))
        return {name: activations[name] for name in names}

    return forward


def _prefix_option(module: Any, prefix: int) -> dict[str, bool]:
    parameters = inspect.signature(module.forward_intermediates).parameters if prefix else {}
    return {"return_prefix_tokens": True} if "return_prefix_tokens" in parameters else {}


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
