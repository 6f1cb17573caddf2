"""Resolve references to layers: names, indices and depths.

    blocks.11    the layer of that name
    5, -1        an index into the network's blocks: from 0, or from the end as in Python
    0.5          a depth: 0.0 is the first block, 1.0 the last, else the nearest one; of two
                 equally near, the deeper

A network's blocks are the layers of its main sequence, from the picture to the output
(`Backbone.blocks`): `blocks.0`, `blocks.1` … in open_clip and timm; in torchvision `conv1`,
`conv2` … or the modules of the main sequence. `python -m extract layers SPACE` lists them. Indices
and depths are replaced by names before weights are loaded and before a key is computed.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from extract.errors import ExtractError
from extract.spaces import Spec, unique_layers

# Number of names that an error lists; deep networks have hundreds.
N_LISTED = 40


def find_blocks(layers: Sequence[str]) -> list[str]:
    """Return the layers called `blocks.0`, `blocks.1` …, in order."""
    return [name for name in layers if re.fullmatch(r"blocks\.\d+", name)]


def check_layers(spec: Spec, layers: Sequence[str], blocks: Sequence[str] = ()) -> Spec:
    """Resolve a space's layers to names, each layer once, and check that the network has them.

    Families call this before they load weights. The name of a space that lists layers is changed
    too, so that `@-1` and `@blocks.11` are one space with one file.

    Parameters
    ----------
    spec : Spec
        A space, with layers by name, index or depth.
    layers : sequence of str
        The layers of the network.
    blocks : sequence of str
        The layers that an index or a depth counts; by default those called `blocks.N`.

    Returns
    -------
    Spec
        The same space, with all layers by name.

    Raises
    ------
    ExtractError
        If there is no such layer; the message lists the layers of the network.
    """
    blocks = blocks or find_blocks(layers)
    bands = unique_layers(
        [_resolve_layer(reference, spec, layers, blocks) for reference in band]
        for band in spec.bands
    )
    if bands == spec.bands:
        return spec
    layer_text = ",".join("+".join(band) for band in bands)
    # Short names have no "@" and do not change.
    return replace(spec, name=re.sub("@[^#~]+", f"@{layer_text}", spec.name), bands=bands)


def _resolve_layer(reference: str, spec: Spec, layers: Sequence[str], blocks: Sequence[str]) -> str:
    if reference in layers:
        return reference
    network = f"{spec.family}:{spec.model}"
    index = re.fullmatch(r"-?\d+", reference)
    depth = re.fullmatch(r"-?(\d+\.\d*|\.\d+)", reference)
    if not index and not depth:
        raise ExtractError(
            f"{network} has no layer {reference!r}: choose from {_list_layers(layers)}"
        )
    if not blocks:
        raise ExtractError(
            f"{network} has no blocks for {reference!r} to count: choose from "
            f"{_list_layers(layers)}"
        )
    count = len(blocks)
    if index:
        if not -count <= int(reference) < count:
            raise ExtractError(
                f"{network} has no block {reference}: expected 0 to {count - 1}, or -{count} to -1 "
                f"counted from the end, of {_list_layers(blocks)}"
            )
        return blocks[int(reference)]
    if not 0 <= Fraction(reference) <= 1:
        raise ExtractError(
            f"{network} has no layer at depth {reference}: expected 0.0, the first block, to 1.0, "
            "the last; an index has no point"
        )
    # Exact fractions, so that a depth halfway between two blocks does not depend on rounding.
    return blocks[int(Fraction(reference) * (count - 1) + Fraction(1, 2))]


def _list_layers(layers: Sequence[str]) -> str:
    remainder = f" … ({len(layers)} in all)" if len(layers) > N_LISTED else ""
    return ", ".join(layers[:N_LISTED]) + remainder
