"""Names of feature spaces: short ones in a table, and the grammar behind them.

    family:model/weights@layer+layer,layer#pooling~columns

`family` is a file in `extract/backbones`; `weights` the tag of the published weights; `layer` a
layer of that network by name, index or depth (`extract/layers.py`; `python -m extract layers SPACE`
lists them); layers joined with "+" are one band, those after a "," another, in the same file;
`pooling` is one of `cls`, `mean`, `max`, `gridK` and `flatten`; `columns` the width of the random
projection of each layer ("0": none). What is left out takes the default of the family or, for
pooling and columns, of the layer's shape.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from base import plugin_names
from extract import backbones
from extract.errors import ExtractError

GRAMMAR = "family:model/weights@layer+layer,layer#pooling~columns"

SPACES = {
    # What the picture is of: the embedding that was trained against captions.
    "clip": "open_clip:ViT-B-32/openai@embedding",
    # From edges to parts of things; 6 x 6 fields keep the places that early areas go by.
    "alexnet": "torchvision:alexnet/IMAGENET1K_V1@conv1+conv2+conv3+conv4+conv5#grid6~512",
    # Contours and surfaces, of which early areas are predicted well; 8 x 8 fields of 256 maps.
    "sam": "timm:samvit_base_patch16/sa1b@features#grid8~2048",
    # Small and quick: 40 ms a picture on two cores.
    "efficientnet_lite0": "timm:tf_efficientnet_lite0/in1k@pooled",
    # A quarter, half, three quarters and all of CLIP's depth. The patches, not the class token:
    # they bring the places that the final embedding (`clip`) has lost; take both together.
    "clip_layers": "open_clip:ViT-B-32/openai@blocks.2,blocks.5,blocks.8,blocks.11#grid4~512",
    "clip_l14": "open_clip:ViT-L-14/openai@embedding",
    # What people say of the picture.
    "clip_text": "open_clip_text:ViT-B-32/openai@embedding",
    # The columns of `alexnet`, a space each: for a penalty or a model of each layer.
    **{
        f"alexnet_conv{n}": f"torchvision:alexnet/IMAGENET1K_V1@conv{n}#grid6~512"
        for n in range(1, 6)
    },
    # The four blocks of the encoder that attend to the whole picture; the others see windows of it.
    "sam_layers": "timm:samvit_base_patch16/sa1b@blocks.2,blocks.5,blocks.8,blocks.11#grid8~512",
    # Trained on pictures alone and known for its patches, so their places are kept.
    "dinov2": "timm:vit_base_patch14_dinov2/lvd142m@features#grid4~2048",
    # The last convolution before each of its five poolings.
    "vgg16": "torchvision:vgg16/IMAGENET1K_V1@conv2+conv4+conv7+conv10+conv13#grid6~512",
    # The picture itself, for models that learn from pictures: 49,152 columns of one byte.
    "pixels": "pixels:128@rgb",
}

FAMILIES = plugin_names(backbones)
# What is embedded there is no picture; the grammar is the same.
TEXT_FAMILIES = ("open_clip_text",)

_SPEC = re.compile(
    r"(?P<family>\w+):(?P<model>[^/@#~]+)(/(?P<weights>[^@#~]+))?"
    r"(@(?P<layers>[^#~+,]+([+,][^#~+,]+)*))?(#(?P<pooling>\w+))?(~(?P<columns>\d+))?"
)


@dataclass(frozen=True)
class Spec:
    """A feature space, spelled out.

    Attributes
    ----------
    name : str
        What the user called it.
    family, model : str
        The network.
    weights : str or None
        The tag of its published weights; None for the family's default.
    bands : tuple of tuples of str
        The layers of each band, side by side, each layer once; empty for the family's default
        layers in one band.
    pooling : str or None
        None for the default of each layer's shape.
    columns : int or None
        Width of each layer's projection; 0 for none, None for the default.
    """

    name: str
    family: str
    model: str
    weights: str | None
    bands: tuple[tuple[str, ...], ...]
    pooling: str | None
    columns: int | None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of all bands, in the order of their columns."""
        return tuple(layer for band in self.bands for layer in band)


def resolve(name: str) -> Spec:
    """Turn a name into a feature space.

    Parameters
    ----------
    name : str
        A short name ("clip"), a spelled-out space ("timm:resnet18/a1_in1k@pooled"), or the name of
        any timm model ("resnet18.a1_in1k").

    Returns
    -------
    Spec
        The space.

    Raises
    ------
    ExtractError
        If it is none of these; the message lists the short names and the grammar.
    """
    written = SPACES.get(name, name)
    families = (*FAMILIES, *TEXT_FAMILIES)
    if ":" not in written:
        import timm

        if not timm.is_model(written):
            raise ExtractError(
                f"unknown feature space {name!r}: choose from {', '.join(SPACES)}, any timm model "
                f"by name, or write {GRAMMAR} with a family from {', '.join(families)}, for "
                "example timm:resnet18/a1_in1k@features#grid4"
            )
        model, _, tag = written.partition(".")
        written = f"timm:{model}/{tag}" if tag else f"timm:{model}"
    matched = _SPEC.fullmatch(written)
    if matched is None or matched["family"] not in families:
        raise ExtractError(
            f"cannot read the feature space {name!r}: expected {GRAMMAR} with a family from "
            f"{', '.join(families)}, for example open_clip:ViT-B-32/openai@blocks.5#cls"
        )
    layers = matched["layers"] or ""
    return Spec(
        name=name,
        family=matched["family"],
        model=matched["model"],
        weights=matched["weights"],
        bands=each_once(band.split("+") for band in layers.split(",") if band),
        pooling=matched["pooling"],
        columns=None if matched["columns"] is None else int(matched["columns"]),
    )


def each_once(bands: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Keep each layer where it is named first: the same columns twice would be no two.

    Parameters
    ----------
    bands : iterable of iterables of str
        The layers of each band.

    Returns
    -------
    tuple of tuples of str
        Without repetitions, and without bands that held nothing else.
    """
    seen: set[str] = set()
    kept = []
    for band in bands:
        kept.append(tuple(name for name in dict.fromkeys(band) if name not in seen))
        seen.update(kept[-1])
    return tuple(band for band in kept if band)
