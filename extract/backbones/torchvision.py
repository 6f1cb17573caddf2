"""torchvision's classification networks, read at any module: AlexNet, VGG, ResNet and the rest.

Layers are paths of modules ("features.2", "layer4"); where the network has a chain of
convolutions called `features`, `conv1`, `conv2` … are the outputs of their ReLUs.
"""

from collections.abc import Sequence
from typing import Any

import torchvision
from torch import Tensor, nn

from extract.backbone import Activation, Backbone, check_layers, hooked, settle, shaped
from extract.errors import ExtractError
from extract.hub import HubFile
from extract.packaged import alexnet_features
from extract.spaces import Spec
from extract.weights import Request, drawing, load_into, weights_key


def load(spec: Spec, request: Request) -> Backbone:
    """Build one of torchvision's networks with its weights.

    Where only layers of `features` are asked for, only they are built and digested, so that
    weights of the convolutions alone are enough, and give the same key as the whole network.

    Parameters
    ----------
    spec : Spec
        Which network, weights and layers.
    request : Request
        Where the weights may come from.

    Returns
    -------
    Backbone
        Ready to run.
    """
    published = _published(spec)
    with drawing(request.seed):
        whole = settle(torchvision.models.get_model(spec.model, weights=None))
    aliases = _convolutions(whole)
    layers = [*aliases, *(name for name, _ in whole.named_modules() if name)]
    check_layers(spec, layers)
    wanted = [aliases.get(name, name) for name in spec.layers]
    trunk = bool(wanted) and all(name.startswith("features.") for name in wanted)
    module = whole.get_submodule("features") if trunk else whole
    origin = request.seed_origin
    if request.seed is None:
        hub = HubFile(url=published.url)
        packages = [alexnet_features] if trunk and spec.model == "alexnet" else []
        found = request.find(f"torchvision's {spec.model}", hub, packages)
        state, origin = found.load(), found.origin
        if trunk and any(name.startswith("features.") for name in state):
            prefix = "features."
            state = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        load_into(module, state, origin)
    strip = "features." if trunk else ""

    def forward(batch: Tensor, names: Sequence[str]) -> dict[str, Activation]:
        paths = {name: aliases.get(name, name).removeprefix(strip) for name in names}
        _, kept = hooked(module, batch, list(paths.values()))
        return {name: shaped(kept[path]) for name, path in paths.items()}

    preprocess = published.transforms()
    return Backbone(
        module=module,
        key={
            "family": "torchvision",
            "model": spec.model,
            "weights": weights_key(module, request.seed),
            "preprocessing": _describe(preprocess),
        },
        origin=origin,
        size=preprocess.crop_size[0],
        layers=layers,
        preprocess=preprocess,
        forward=forward,
        default_layers=(layers[-1],),
    )


def _published(spec: Spec) -> Any:
    if spec.model not in torchvision.models.list_models(module=torchvision.models):
        names = torchvision.models.list_models(module=torchvision.models)
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


def _convolutions(module: nn.Module) -> dict[str, str]:
    features = getattr(module, "features", None)
    if not isinstance(features, nn.Sequential):
        return {}
    paths = [f"features.{i}" for i, part in enumerate(features) if isinstance(part, nn.ReLU)]
    return {f"conv{number}": path for number, path in enumerate(paths, start=1)}


def _describe(preprocess: Any) -> dict[str, Any]:
    return {
        "resize": list(preprocess.resize_size),
        "crop": list(preprocess.crop_size),
        "interpolation": preprocess.interpolation.value,
        "antialias": bool(preprocess.antialias),
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
    }
