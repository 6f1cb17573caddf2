"""`python -m extract layers SPACE`: what a network can give, without its weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook

from base import load_plugin
from extract import backbones
from extract.backbone import Activation, Backbone, Keep, check_layers
from extract.errors import ExtractError
from extract.pooling import default_pooling, pool, projected_width
from extract.spaces import SPACES, TEXT_FAMILIES, Spec, resolve
from networks.weights import Request

# Networks of more layers show only their blocks and outermost modules, unless asked for all.
MANY = 24


@dataclass(frozen=True)
class Line:
    """One layer of a network, and the columns that it gives.

    Attributes
    ----------
    layer : str
        Its name.
    index : int or None
        Its place among the network's blocks; None where it is none of them.
    depth : float or None
        That place as a fraction, from 0 to 1.
    shape : str
        What it gives for one picture, channels first.
    pooling : str
        How the space pools it; the default where the space does not take it.
    pooled : int
        Columns after pooling.
    columns : int
        Columns in the end, after the projection.
    band : int or None
        The band of the space that it is in, from 1; None where the space does not take it.
    """

    layer: str
    index: int | None
    depth: float | None
    shape: str
    pooling: str
    pooled: int
    columns: int
    band: int | None


def list_layers(space: str, deep: bool = False) -> None:
    """List the layers of a feature space's network, with shapes; no weights are needed.

    Parameters
    ----------
    space : str
        A feature space: clip, or family:model/weights@layer#pooling~columns.
    deep : bool
        true to list all modules of a network that has many.
    """
    spec, backbone = sketch(space)
    lines = describe(spec, backbone)
    shown = [one for one in lines if deep or len(lines) <= MANY or _outer(one)]
    print(f"{space} = {SPACES[space]}" if space in SPACES else space)
    for row in _table(shown, backbone):
        print(row)
    if len(shown) < len(lines):
        print(f"and {len(lines) - len(shown)} modules inside these: --deep true lists them")
    taken = [one for one in lines if one.band is not None]
    bands = len({one.band for one in taken})
    print(
        f"{space}: {sum(one.columns for one in taken)} columns in {bands} "
        f"{'band' if bands == 1 else 'bands'}, pictures of {backbone.size} x {backbone.size} pixels"
    )


def sketch(space: str) -> tuple[Spec, Backbone]:
    """Build a space's network for its shapes alone: no values, no weights, no time.

    Parameters
    ----------
    space : str
        A feature space.

    Returns
    -------
    spec : Spec
        The space, with every layer by its own name.
    backbone : Backbone
        The network; it can compute nothing but shapes.

    Raises
    ------
    ExtractError
        If it embeds captions, not pictures.
    """
    spec = resolve(space)
    if spec.family in TEXT_FAMILIES:
        raise ExtractError(
            f"{space} is a tower that reads captions, not pictures: its one layer is "
            f"{' '.join(spec.layers) or 'embedding'}"
        )
    family = load_plugin(backbones, spec.family, "network family")
    request = Request(spec.name, "random:0")
    # No layers, so that a family does not build only the part that holds them.
    whole = replace(spec, bands=())
    try:
        with torch.device("meta"):
            backbone = family.load(whole, request)
        dry_run(backbone, backbone.layers)
    except (NotImplementedError, RuntimeError):  # some networks look at values
        backbone = family.load(whole, request)
    return check_layers(spec, backbone.layers, backbone.blocks), backbone


def keep_shape(_name: str, activation: Activation) -> Activation:
    """Keep a layer's output itself, of which only the shape is of use.

    Parameters
    ----------
    _name : str
        The layer's name.
    activation : Activation
        Its output.

    Returns
    -------
    Activation
        The same; the network may write over it.
    """
    return activation


def dry_run(
    backbone: Backbone, names: Sequence[str], keep: Keep = keep_shape
) -> dict[str, Activation]:
    """Learn the shapes of layers, if possible without computing: SAM takes 10 s on two cores.

    Parameters
    ----------
    backbone : Backbone
        The network; on the CPU, or built for its shapes alone.
    names : sequence of str
        Layers.
    keep : callable
        From a layer's name and output to that output.

    Returns
    -------
    dict of str to Activation
        Of one picture, without values.
    """
    shape = (1, 3, backbone.size, backbone.size)
    # Not in inference mode, whose tensors do not count how often they are written to.
    with torch.inference_mode(mode=False), torch.no_grad():
        if any(part.is_meta for part in backbone.module.parameters()):
            with torch.device("meta"):
                return backbone.forward(torch.empty(shape), names, keep)
        try:
            with FakeTensorMode(allow_non_fake_inputs=True):
                return backbone.forward(torch.empty(shape), names, keep)
        except (NotImplementedError, RuntimeError):  # it looks at values: compute one picture
            return backbone.forward(torch.zeros(shape), names, keep)


def find_overwritten(
    backbone: Backbone, names: Sequence[str]
) -> tuple[dict[str, Activation], frozenset[str]]:
    """Find the layers whose output the network writes over after they have run.

    Parameters
    ----------
    backbone : Backbone
        The network; on the CPU, or built for its shapes alone.
    names : sequence of str
        Layers.

    Returns
    -------
    shapes : dict of str to Activation
        As `dry_run` gives them.
    overwritten : frozenset of str
        Those of the layers.
    """
    versions: dict[str, list[int]] = {}

    def keep(name: str, activation: Activation) -> Activation:
        versions[name] = _versions(activation)
        return activation

    shapes = dry_run(backbone, names, keep)
    return shapes, frozenset(n for n in names if _versions(shapes[n]) != versions[n])


def _versions(activation: Activation) -> list[int]:
    # torch counts how often a tensor, or another one with the same memory, was written to.
    parts = (activation.vector, activation.spatial, activation.cls)
    return [part._version for part in parts if part is not None]


def largest_output(backbone: Backbone, names: Sequence[str]) -> int:
    """Learn how much memory the largest output of a part of the network takes.

    Parameters
    ----------
    backbone : Backbone
        The network.
    names : sequence of str
        Layers to run it for.

    Returns
    -------
    int
        Bytes, for one picture.
    """
    sizes = [1]

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    hook = register_module_forward_hook(note)
    try:
        dry_run(backbone, names)
    finally:
        hook.remove()
    return max(sizes)


def describe(spec: Spec, backbone: Backbone) -> list[Line]:
    """Work out the columns of every layer of a network that can be pooled.

    Parameters
    ----------
    spec : Spec
        The space, with layers by their own names.
    backbone : Backbone
        Its network.

    Returns
    -------
    list of Line
        In the order of the network's list; those that the space takes are pooled and projected as
        it says, the others by default.
    """
    taken = {layer: band for band, group in enumerate(spec.bands, 1) for layer in group}
    taken = taken or dict.fromkeys(backbone.default_layers, 1)
    lines = []
    for layer, given in dry_run(backbone, backbone.layers).items():
        own = layer in taken
        if given.empty and not own:
            continue
        pooling = (spec.pooling if own else None) or default_pooling(given)
        pooled = pool(given, pooling, layer).shape[1]
        columns = projected_width(pooled, spec.columns if own else None, backbone.dtype)
        index = backbone.blocks.index(layer) if layer in backbone.blocks else None
        depth = None if index is None else index / max(1, len(backbone.blocks) - 1)
        shape = _shape(given)
        lines.append(Line(layer, index, depth, shape, pooling, pooled, columns, taken.get(layer)))
    return lines


def _shape(given: Activation) -> str:
    if given.vector is not None:
        return str(given.vector.shape[1])
    parts = []
    if given.spatial is not None:
        parts.append(" x ".join(str(n) for n in given.spatial.shape[1:]))
    if given.cls is not None:
        parts.append(f"class {given.cls.shape[1]}")
    return " + ".join(parts)


def _outer(one: Line) -> bool:
    return one.band is not None or one.index is not None or "." not in one.layer


def _table(lines: Sequence[Line], backbone: Backbone) -> list[str]:
    rows = [("layer", "index", "depth", "shape", "pooling", "pooled", "columns", "band")]
    for one in lines:
        numbers = (one.index, None if one.depth is None else f"{one.depth:.2f}")
        index, depth = ("" if value is None else str(value) for value in numbers)
        band = "" if one.band is None else str(one.band)
        pooled = str(one.pooled)
        columns = str(one.columns)
        rows.append((one.layer, index, depth, one.shape, one.pooling, pooled, columns, band))
    widths = [max(len(row[n]) for row in rows) for n in range(8)]
    left = (0, 3, 4)
    return [
        "  ".join(
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
