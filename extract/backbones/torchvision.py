"""Classification networks of torchvision: AlexNet, VGG, ResNet and others.

Layers are paths of modules ("features.2", "layer4"). In AlexNet and VGG, `conv1`, `conv2` … are the
outputs of the convolutions' ReLUs, which an index or a depth counts; in other networks these count
the modules of its main sequence: `features.N`, `encoder.layers.…`, `layer1` to `layer4`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision.models.maxvit import PartitionAttentionLayer
from torchvision.ops import Permute

from extract.backbone import (
    Activation,
    Backbone,
    Keep,
    freeze,
    keep_copy,
    run_with_hooks,
    to_activation,
)
from extract.errors import ExtractError
from extract.layers import check_layers
from extract.spaces import Spec
from networks.hub import HubFile
from networks.packaged import LPIPS, convolutions
from networks.weights import Request, drawing, load_into, weights_key

# Names of the main sequence of modules of a network.
CHAINS = ("features", "encoder.layers", "trunk_output", "blocks", "layers")


def load(spec: Spec, request: Request) -> Backbone:
    """Build a network of torchvision with its weights.

    If all requested layers are in `features`, only this part is used and digested, so that weights
    of the convolutions alone are enough, and give the same key as the whole network.
    """
    published = _published_weights(spec)
    options = _options(spec.model, published)
    with drawing(request.seed):
        network = freeze(torchvision.models.get_model(spec.model, weights=None, **options))
    aliases = _convolutions(network)
    blocks = list(aliases) or _chain(network)
    modules = list(_readable_modules(network))
    first = [name for name in modules if "." not in name]
    layers = list(dict.fromkeys([*aliases, *blocks, *first, *modules]))
    requested = [aliases.get(name, name) for name in check_layers(spec, layers, blocks).layers]
    trunk = bool(requested) and all(name.startswith("features.") for name in requested)
    module = network.get_submodule("features") if trunk else network
    origin = _load_weights(network, spec, request, published, trunk)
    paths = {name: aliases.get(name, name) for name in layers}
    preprocess = published.transforms()
    key: dict[str, Any] = {
        "family": "torchvision",
        "model": spec.model,
        "weights": weights_key(module, request.seed, "torchvision"),
        "preprocessing": _describe(preprocess),
    }
    # Earlier versions computed these networks without, so that their key must differ.
    if options.get("transform_input"):
        key["transform_input"] = True
    if isinstance(network, torchvision.models.SwinTransformer):
        key["maps"] = "NHWC"
    return Backbone(
        module=module,
        key=key,
        origin=origin,
        size=preprocess.crop_size[0],
        layers=layers,
        preprocess=preprocess,
        forward=_forward(module, network, paths, "features." if trunk else ""),
        default_layers=(modules[-1],),
        blocks=blocks,
    )


def _published_weights(spec: Spec) -> Any:
    names = torchvision.models.list_models(module=torchvision.models)
    if spec.model not in names:
        raise ExtractError(
            f"{spec.name}: torchvision has no classifier {spec.model!r}: choose from "
            f"{', '.join(names)}"
        )
    tags = torchvision.models.get_model_weights(spec.model)
    if spec.weights is None:
        return tags["DEFAULT"]
    if spec.weights not in tags.__members__:
        raise ExtractError(
            f"{spec.name}: {spec.model} has no weights {spec.weights!r}: choose from "
            f"{', '.join(tags.__members__)}"
        )
    return tags[spec.weights]


def _options(model: str, published: Any) -> dict[str, Any]:
    """Return options of the network that torchvision sets only when it loads the weights itself."""
    if model in ("googlenet", "inception_v3"):
        return {"transform_input": True, "init_weights": True}
    if model.startswith("vit_"):
        return {"image_size": published.meta["min_size"][0]}
    return {}


def _load_weights(
    network: nn.Module, spec: Spec, request: Request, published: Any, trunk: bool
) -> str:
    if request.seed is not None:
        return request.seed_origin
    is_packaged = trunk and spec.model in LPIPS and published.name == "IMAGENET1K_V1"
    packages = [partial(convolutions, spec.model)] if is_packaged else []
    source = request.find(f"torchvision's {spec.model}", HubFile(url=published.url), packages)
    state = source.load()
    if spec.model.startswith("densenet"):
        # torchvision's own files have the former names of its dense layers.
        state = {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", n): v for n, v in state.items()}
    prefix = "features."
    if trunk and any(name.startswith(prefix) for name in state):
        # Tensors of the network's other layers are ignored; unknown tensors are an error.
        other_names = {name for name in network.state_dict() if not name.startswith(prefix)}
        state = {n.removeprefix(prefix): v for n, v in state.items() if n not in other_names}
    load_into(network.get_submodule("features") if trunk else network, state, source.origin)
    return source.origin


def _convolutions(module: nn.Module) -> dict[str, str]:
    features = getattr(module, "features", None)
    simple_layers = nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.MaxPool2d
    if not isinstance(features, nn.Sequential) or not all(
        isinstance(p, simple_layers) for p in features
    ):
        return {}
    paths = [f"features.{i}" for i, part in enumerate(features) if isinstance(part, nn.ReLU)]
    return {f"conv{number}": path for number, path in enumerate(paths, start=1)}


def _chain(module: nn.Module) -> list[str]:
    modules = dict(module.named_modules())
    for path in CHAINS:
        if path in modules:
            return [f"{path}.{name}" for name, _ in modules[path].named_children()]
    parts = dict(module.named_children())
    stages = [name for name, part in parts.items() if isinstance(part, nn.Sequential)]
    # ResNet's stages; else all parts before the spatial average, without auxiliary outputs.
    before = list(parts)[: list(parts).index("avgpool")] if "avgpool" in parts else list(parts)
    return stages if len(stages) > 1 else [n for n in before if not n.lower().startswith("aux")]


def _readable_modules(module: nn.Module, path: str = "") -> Iterator[str]:
    """Yield the paths of modules whose output has the layout of the network's maps."""
    for name, part in module.named_children():
        yield path + name
        is_permuted = isinstance(part, nn.Sequential) and any(isinstance(p, Permute) for p in part)
        if not is_permuted and not isinstance(part, PartitionAttentionLayer):
            yield from _readable_modules(part, f"{path}{name}.")


def _forward(module: nn.Module, network: nn.Module, paths: dict[str, str], strip: str) -> Any:
    prefix = int(hasattr(network, "class_token"))
    swin = isinstance(network, torchvision.models.SwinTransformer)

    def lay_out(output: object, path: str) -> Activation:
        channels_last = swin and path.partition(".")[0] in ("features", "norm")
        return to_activation(output, prefix, channels_last=channels_last)

    def forward(batch: Tensor, names: Sequence[str], keep: Keep = keep_copy) -> dict[str, Any]:
        # Two names may refer to one module: `conv1` is the path of a ReLU.
        layers_at: dict[str, list[str]] = {}
        for name in names:
            layers_at.setdefault(paths[name].removeprefix(strip), []).append(name)

        def keep_layers(path: str, output: Any) -> dict[str, Any]:
            return {name: keep(name, lay_out(output, paths[name])) for name in layers_at[path]}

        _, by_path = run_with_hooks(module, batch, list(layers_at), keep_layers)
        by_name = {name: value for layers in by_path.values() for name, value in layers.items()}
        return {n: by_name[n] if n in by_name else keep(n, Activation()) for n in names}

    return forward


def _describe(preprocess: Any) -> dict[str, Any]:
    return {
        "resize": list(preprocess.resize_size),
        "crop": list(preprocess.crop_size),
        "interpolation": preprocess.interpolation.value,
        "antialias": bool(preprocess.antialias),
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
    }
