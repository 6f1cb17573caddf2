"""Names of feature spaces: short ones in a table, and the grammar behind them.

    family:model/weights@layer+layer#pooling~columns

`family` is a file in `extract/backbones`; `weights` the tag of the published weights; `layer` a
layer of that network (`python -m extract --layers SPACE` lists them); `pooling` one of `cls`,
`mean`, `max`, `gridK` and `flatten`; `columns` the width of the random projection of each layer
("0": none). What is left out takes the default of the family or, for pooling and columns, of the
layer's shape.
"""

import re
from dataclasses import dataclass

from base import plugin_names
from extract import backbones
from extract.errors import ExtractError

SPACES = {
    "clip": "open_clip:ViT-B-32/openai@embedding",
    "alexnet": "torchvision:alexnet/IMAGENET1K_V1@conv1+conv2+conv3+conv4+conv5#grid6~512",
    "sam": "timm:samvit_base_patch16/sa1b@features#grid8~2048",
    "efficientnet_lite0": "timm:tf_efficientnet_lite0/in1k@pooled",
}

FAMILIES = plugin_names(backbones)

_SPEC = re.compile(
    r"(?P<family>\w+):(?P<model>[^/@#~]+)(/(?P<weights>[^@#~]+))?(@(?P<layers>[^#~]+))?"
    r"(#(?P<pooling>\w+))?(~(?P<columns>\d+))?"
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
    layers : tuple of str
        Empty for the family's default.
    pooling : str or None
        None for the default of each layer's shape.
    columns : int or None
        Width of each layer's projection; 0 for none, None for the default.
    """

    name: str
    family: str
    model: str
    weights: str | None
    layers: tuple[str, ...]
    pooling: str | None
    columns: int | None


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
    if ":" not in written:
        import timm

        if not timm.is_model(written):
            raise ExtractError(
                f"unknown feature space {name!r}: choose from {', '.join(SPACES)}, any timm model "
                "by name, or write family:model/weights@layer#pooling~columns with a family from "
                f"{', '.join(FAMILIES)}, for example timm:resnet18/a1_in1k@features#grid4"
            )
        model, _, tag = written.partition(".")
        written = f"timm:{model}/{tag}" if tag else f"timm:{model}"
    matched = _SPEC.fullmatch(written)
    if matched is None or matched["family"] not in FAMILIES:
        raise ExtractError(
            f"cannot read the feature space {name!r}: expected "
            "family:model/weights@layer+layer#pooling~columns with a family from "
            f"{', '.join(FAMILIES)}, for example open_clip:ViT-B-32/openai@blocks.5#cls"
        )
    return Spec(
        name=name,
        family=matched["family"],
        model=matched["model"],
        weights=matched["weights"],
        layers=tuple(dict.fromkeys(matched["layers"].split("+"))) if matched["layers"] else (),
        pooling=matched["pooling"],
        columns=None if matched["columns"] is None else int(matched["columns"]),
    )
