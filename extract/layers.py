"""Which layer is meant by a name, an index or a depth.

    blocks.11    the layer of that name
    5, -1        an index into the network's blocks: from 0, or from the end as Python counts
    0.5          a depth: 0.0 is the first block, 1.0 the last, else the nearest one; of two
                 equally near, the deeper

A network's blocks are those of its layers that follow one another from the picture to the output
(`Backbone.blocks`): `blocks.0`, `blocks.1` … of open_clip and timm; of torchvision `conv1`,
`conv2` … or the links of the network's chain. `python -m extract layers SPACE` lists them. Indices
and depths become names before weights are looked for and before a key is made.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from extract.errors import ExtractError
from extract.spaces import Spec, each_once

# How many names an error lists; deep networks have hundreds.
LISTED = 40


def blocks_among(layers: Sequence[str]) -> list[str]:
    """Find the blocks of a network by their usual names.

    Returns
    -------
    list of str
        `blocks.0`, `blocks.1` …, in order; empty where it has none.
    """
    return [name for name in layers if re.fullmatch(r"blocks\.\d+", name)]


def name_layers(spec: Spec, layers: Sequence[str], blocks: Sequence[str]) -> Spec:
    """Give every layer of a space its own name.

    Parameters
    ----------
    blocks : sequence of str
        Those among them that are counted, from the picture to the output.

    Returns
    -------
    Spec
        The same space with names alone, each layer once. A written-out space is called by them
        too, so that `@-1` and `@blocks.11` are one space with one file.
    """
    named = each_once([_name(asked, spec, layers, blocks) for asked in band] for band in spec.bands)
    if named == spec.bands:
        return spec
    written = ",".join("+".join(band) for band in named)
    # Short names stay as they are; they hold no "@".
    return replace(spec, name=re.sub("@[^#~]+", f"@{written}", spec.name), bands=named)


def _name(asked: str, spec: Spec, layers: Sequence[str], blocks: Sequence[str]) -> str:
    if asked in layers:
        return asked
    network = f"{spec.family}:{spec.model}"
    index = re.fullmatch(r"-?\d+", asked)
    depth = re.fullmatch(r"-?(\d+\.\d*|\.\d+)", asked)
    if not index and not depth:
        raise ExtractError(f"{network} has no layer {asked!r}: choose from {_listed(layers)}")
    if not blocks:
        raise ExtractError(
            f"{network} has no blocks for {asked!r} to count: choose from {_listed(layers)}"
        )
    count = len(blocks)
    if index:
        if not -count <= int(asked) < count:
            raise ExtractError(
                f"{network} has no block {asked}: expected 0 to {count - 1}, or -{count} to -1 "
                f"counted from the end, of {_listed(blocks)}"
            )
        return blocks[int(asked)]
    if not 0 <= Fraction(asked) <= 1:
        raise ExtractError(
            f"{network} has no layer at depth {asked}: expected 0.0, the first block, to 1.0, the "
            "last; an index has no point"
        )
    # Exact, so that a depth between two blocks is not left to rounding.
    return blocks[int(Fraction(asked) * (count - 1) + Fraction(1, 2))]


def _listed(layers: Sequence[str]) -> str:
    more = f" … ({len(layers)} in all)" if len(layers) > LISTED else ""
    return ", ".join(layers[:LISTED]) + more
