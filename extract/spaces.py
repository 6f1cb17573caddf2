"""Names of feature spaces: a table of short names, and the grammar of full ones.

    family:model/weights@layer+layer,layer#pooling~columns

`family` is a file in `extract/backbones`; `weights` the tag of the published weights; `layer` a
layer of that network by name, index or depth (`extract/layers.py`; `python -m extract layers SPACE`
lists them); layers joined with "+" are one band, those after a "," another, in the same file;
`pooling` is one of `cls`, `mean`, `max`, `gridK` and `flatten`; `columns` the width of the random
projection of each layer ("0": none). Omitted parts have the default of the family or, for pooling
and columns, of the layer's shape. Short names may be followed by other layers, pooling or columns
too: `alexnet@conv2`, `clip_layers#cls`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from base import nearest, plugin_names
from extract import backbones
from extract.errors import ExtractError

GRAMMAR = "family:model/weights@layer+layer,layer#pooling~columns"

SPACES = {
    # Semantic features: the embedding that was trained with captions.
    "clip": "open_clip:ViT-B-32/openai@embedding",
    # From edges to parts of objects; 6 x 6 cells keep the positions that early areas depend on.
    "alexnet": "torchvision:alexnet/IMAGENET1K_V1@conv1+conv2+conv3+conv4+conv5#grid6~512",
    # Contours and surfaces, which predict early areas well; 8 x 8 cells of 256 maps.
    "sam": "timm:samvit_base_patch16/sa1b@features#grid8~2048",
    # Small and fast: 40 ms per picture on two cores.
    "efficientnet_lite0": "timm:tf_efficientnet_lite0/in1k@pooled",
    # A quarter, half, three quarters and all of CLIP's depth. Patches instead of the class token
    # have the positions that the final embedding (`clip`) has lost; use both together.
    "clip_layers": "open_clip:ViT-B-32/openai@blocks.2,blocks.5,blocks.8,blocks.11#grid4~512",
    "clip_l14": "open_clip:ViT-L-14/openai@embedding",
    # Captions of the picture.
    "clip_text": "open_clip_text:ViT-B-32/openai@embedding",
    # The layers of `alexnet` as separate spaces, for a penalty or a model of each layer.
    **{
        f"alexnet_conv{n}": f"torchvision:alexnet/IMAGENET1K_V1@conv{n}#grid6~512"
        for n in range(1, 6)
    },
    # The four blocks of the encoder that attend to the whole picture; the others to windows of it.
    "sam_layers": "timm:samvit_base_patch16/sa1b@blocks.2,blocks.5,blocks.8,blocks.11#grid8~512",
    # Trained on pictures alone and known for its patches, whose positions are kept.
    "dinov2": "timm:vit_base_patch14_dinov2/lvd142m@features#grid4~2048",
    # The last convolution before each of the five poolings.
    "vgg16": "torchvision:vgg16/IMAGENET1K_V1@conv2+conv4+conv7+conv10+conv13#grid6~512",
    # The picture itself, for models that learn from pictures: 49,152 columns of one byte.
    "pixels": "pixels:128@rgb",
}

FAMILIES = plugin_names(backbones)
# Families that embed captions, with the same grammar.
TEXT_FAMILIES = ("open_clip_text",)

POOLING = re.compile(r"cls|mean|max|flatten|grid(?P<side>[1-9]\d?)")

_NETWORK = re.compile(r"(?P<family>\w+):(?P<model>[^/@#~]+)(/(?P<weights>[^@#~]+))?")
_COLUMNS = re.compile(
    r"(@(?P<layers>[^#~+,]+([+,][^#~+,]+)*))?(#(?P<pooling>\w+))?(~(?P<columns>\d+))?"
)


@dataclass(frozen=True)
class Spec:
    """The specification of a feature space; None stands for a default."""

    name: str  # that the user gave
    family: str
    model: str
    weights: str | None  # the tag of the published weights
    bands: tuple[tuple[str, ...], ...]  # each layer once; empty for the family's default layers
    pooling: str | None  # of all layers
    columns: int | None  # the width of each layer's projection; 0 for none

    @property
    def network(self) -> str:
        """Its name without layers, pooling and columns: "alexnet" of "alexnet@conv2"."""
        return _split_name(self.name)[0]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of all bands, in the order of their columns."""
        return tuple(layer for band in self.bands for layer in band)


def resolve(name: str) -> Spec:
    """Return the specification of a feature space by name.

    It is a short name ("clip"), a full name ("timm:resnet18/a1_in1k@pooled"), or the name of any
    timm model ("resnet18.a1_in1k").
    """
    network, suffix = _split_name(name)
    network, default_suffix = _split_name(SPACES.get(network, network))
    if ":" not in network:
        network = _timm_network(network, name)
    parts, explicit, default = (
        pattern.fullmatch(text)
        for pattern, text in ((_NETWORK, network), (_COLUMNS, suffix), (_COLUMNS, default_suffix))
    )
    families = (*FAMILIES, *TEXT_FAMILIES)
    if not (parts and explicit and default) or parts["family"] not in families:
        raise ExtractError(
            f"cannot read the feature space {name!r}: expected {GRAMMAR} with a family from "
            f"{', '.join(families)}, for example open_clip:ViT-B-32/openai@blocks.5#cls"
        )
    layers, pooling, columns = (
        explicit[part] or default[part] for part in ("layers", "pooling", "columns")
    )
    if pooling is not None:
        check_pooling(pooling)
    return Spec(
        name=name,
        family=parts["family"],
        model=parts["model"],
        weights=parts["weights"],
        bands=unique_layers(band.split("+") for band in (layers or "").split(",") if band),
        pooling=pooling,
        columns=None if columns is None else int(columns),
    )


def _split_name(name: str) -> tuple[str, str]:
    """Split a name into the network, and its layers, pooling and columns."""
    network = re.split("[@#~]", name, maxsplit=1)[0]
    return network, name.removeprefix(network)


def _timm_network(model: str, name: str) -> str:
    import timm

    if not timm.is_model(model):
        raise ExtractError(
            f"unknown feature space {name!r}: choose from {', '.join(SPACES)}, any timm model by "
            f"name, or write {GRAMMAR} with a family from "
            f"{', '.join((*FAMILIES, *TEXT_FAMILIES))}, for example "
            f"timm:resnet18/a1_in1k@features#grid4{nearest(model, SPACES)}"
        )
    base_model, _, tag = model.partition(".")
    return f"timm:{base_model}/{tag}" if tag else f"timm:{base_model}"


def check_pooling(pooling: str) -> re.Match[str]:
    """Check that a pooling exists, and return its match, with the side of a grid."""
    match = POOLING.fullmatch(pooling)
    if match is None:
        raise ExtractError(
            f"unknown pooling {pooling!r}: choose from cls, mean, max, flatten, or grid1 to grid99"
        )
    return match


def unique_layers(bands: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Return bands in which each layer occurs once, where it is named first."""
    previous: set[str] = set()
    unique = []
    for band in bands:
        unique.append(tuple(name for name in dict.fromkeys(band) if name not in previous))
        previous.update(unique[-1])
    return tuple(band for band in unique if band)
