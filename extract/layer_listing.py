"""`python -m extract layers SPACE`: list the layers of a network, without its weights."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook

from base import load_plugin, plural
from extract import backbones
from extract.backbone import Activation, Backbone, Keep
from extract.errors import ExtractError
from extract.layers import check_layers
from extract.pooling import default_pooling, pool, projected_width
from extract.spaces import SPACES, TEXT_FAMILIES, Spec, resolve
from networks.weights import Request

# Of networks with more layers, only blocks and outermost modules are listed by default.
MAX_LINES = 24
# Columns of the table that are aligned on the left.
LEFT = ("layer", "shape", "pooling")


@dataclass(frozen=True)
class Line:
    """A layer of a network, and its columns; the fields are the columns of the table."""

    layer: str
    index: int | None  # among the network's blocks; None for other layers
    depth: float | None  # the index as a fraction, from 0 to 1
    shape: str  # of its output for one picture, channels first
    pooling: str  # of the space, or the default for layers that are not in the space
    pooled: int  # columns after pooling
    columns: int  # columns after projection
    band: int | None  # of the space, from 1; None for layers that are not in the space


def list_layers(space: str, deep: bool = False) -> None:
    """List the layers of a feature space's network; `deep` lists all modules of one with many."""
    spec, backbone = sketch(space)
    lines = describe(spec, backbone)
    visible = [line for line in lines if deep or len(lines) <= MAX_LINES or _is_outer(line)]
    print(f"{space} = {SPACES[space]}" if space in SPACES else space)
    for row in _table(visible):
        print(row)
    if len(visible) < len(lines):
        print(f"and {len(lines) - len(visible)} modules inside these: --deep true lists them")
    space_lines = [line for line in lines if line.band is not None]
    bands = plural(len({line.band for line in space_lines}), "band")
    print(
        f"{space}: {sum(line.columns for line in space_lines)} columns in {bands}, pictures of "
        f"{backbone.size} x {backbone.size} pixels"
    )


def sketch(space: str) -> tuple[Spec, Backbone]:
    """Build a space's network for its shapes alone, without weights.

    Return the space, with all layers by name, and the network, if possible on the meta device.
    """
    spec = resolve(space)
    if spec.family in TEXT_FAMILIES:
        raise ExtractError(
            f"{space} is a tower that reads captions, not pictures: its one layer is "
            f"{' '.join(spec.layers) or 'embedding'}"
        )
    family = load_plugin(backbones, spec.family, "network family")
    request = Request(spec.name, "random:0")
    # Without layers, so that a family does not build only a part of the network.
    all_layers = replace(spec, bands=())
    try:
        with torch.device("meta"):
            backbone = family.load(all_layers, request)
        dry_run(backbone, backbone.layers)
    except (NotImplementedError, RuntimeError):  # some networks depend on values
        backbone = family.load(all_layers, request)
    return check_layers(spec, backbone.layers, backbone.blocks), backbone


def keep_shape(_name: str, activation: Activation) -> Activation:
    """Return a layer's output itself, for its shape; the network may overwrite its values."""
    return activation


def dry_run(
    backbone: Backbone, names: Sequence[str], keep: Keep = keep_shape
) -> dict[str, Activation]:
    """Return the outputs of layers for one picture, for their shapes, if possible without values.

    This saves time: SAM takes 10 s per picture on two cores. The network is on the CPU or the meta
    device; `keep` returns the output itself.
    """
    shape = (1, 3, backbone.size, backbone.size)
    # Not in inference mode, where tensors do not count in-place changes.
    with torch.inference_mode(mode=False), torch.no_grad():
        if any(part.is_meta for part in backbone.module.parameters()):
            with torch.device("meta"):
                return backbone.forward(torch.empty(shape), names, keep)
        try:
            with FakeTensorMode(allow_non_fake_inputs=True):
                return backbone.forward(torch.empty(shape), names, keep)
        except (NotImplementedError, RuntimeError):  # it depends on values
            return backbone.forward(torch.zeros(shape), names, keep)


def find_overwritten(
    backbone: Backbone, names: Sequence[str]
) -> tuple[dict[str, Activation], frozenset[str]]:
    """Return the results of `dry_run`, and the layers whose output the network overwrites later."""
    versions: dict[str, list[int]] = {}

    def keep(name: str, activation: Activation) -> Activation:
        versions[name] = _versions(activation)
        return activation

    shapes = dry_run(backbone, names, keep)
    return shapes, frozenset(n for n in names if _versions(shapes[n]) != versions[n])


def _versions(activation: Activation) -> list[int]:
    # torch counts the in-place changes of a tensor and of all tensors that share its memory.
    parts = (activation.vector, activation.spatial, activation.cls)
    return [part._version for part in parts if part is not None]


def largest_output(backbone: Backbone, names: Sequence[str]) -> int:
    """Return the bytes, for one picture, of the largest output of a module up to some layers."""
    sizes = [1]

    def record_size(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    hook = register_module_forward_hook(record_size)
    try:
        dry_run(backbone, names)
    finally:
        hook.remove()
    return max(sizes)


def describe(spec: Spec, backbone: Backbone) -> list[Line]:
    """Describe every layer of a network that can be pooled, in the order of the network's list.

    Layers of the space have its pooling and projection, other layers the default ones.
    """
    band_of_layer = {layer: band for band, group in enumerate(spec.bands, 1) for layer in group}
    band_of_layer = band_of_layer or dict.fromkeys(backbone.default_layers, 1)
    lines = []
    for layer, activation in dry_run(backbone, backbone.layers).items():
        in_space = layer in band_of_layer
        if activation.empty and not in_space:
            continue
        pooling = (spec.pooling if in_space else None) or default_pooling(activation)
        pooled = pool(activation, pooling, layer).shape[1]
        columns = projected_width(pooled, spec.columns if in_space else None, backbone.dtype)
        index = backbone.blocks.index(layer) if layer in backbone.blocks else None
        depth = None if index is None else index / max(1, len(backbone.blocks) - 1)
        band = band_of_layer.get(layer)
        shape = _shape(activation)
        lines.append(Line(layer, index, depth, shape, pooling, pooled, columns, band))
    return lines


def describe_space(name: str, dtype: str) -> tuple[Spec, dict[str, Any]]:
    """Return the specification of a space, and the meta that it would be stored with."""
    spec = resolve(name)
    layers: list[dict[str, Any]] = []
    bands: list[dict[str, Any]] = []
    if spec.family in TEXT_FAMILIES:
        from extract.text.text_tower import model_config

        columns = projected_width(model_config(spec)["embed_dim"], spec.columns)
    else:
        spec, backbone = sketch(name)
        dtype = dtype if backbone.dtype == "float32" else backbone.dtype
        lines = [line for line in describe(spec, backbone) if line.band is not None]
        columns = sum(line.columns for line in lines)
        for line in lines:
            projection = line.columns < line.pooled or None
            layers.append({"layer": line.layer, "pooling": line.pooling, "projection": projection})
        for number, band in enumerate(spec.bands if len(spec.bands) > 1 else (), 1):
            width = sum(line.columns for line in lines if line.band == number)
            bands.append({"name": "+".join(band), "columns": width})
    key = {"planned": spec.name, "family": spec.family, "layers": layers, "weights": {}}
    meta = {"name": spec.name, "key": key, "columns": columns, "dtype": dtype, "bands": bands}
    return spec, meta


def _shape(activation: Activation) -> str:
    if activation.vector is not None:
        return str(activation.vector.shape[1])
    parts = []
    if activation.spatial is not None:
        parts.append(" x ".join(str(n) for n in activation.spatial.shape[1:]))
    if activation.cls is not None:
        parts.append(f"class {activation.cls.shape[1]}")
    return " + ".join(parts)


def _is_outer(line: Line) -> bool:
    return line.band is not None or line.index is not None or "." not in line.layer


def _table(lines: Sequence[Line]) -> list[str]:
    names = [field.name for field in fields(Line)]
    rows = [names, *([_cell(value) for value in astuple(line)] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = []
    for row in rows:
        columns = zip(names, row, widths, strict=True)
        cells = [cell.ljust(w) if name in LEFT else cell.rjust(w) for name, cell, w in columns]
        table.append("  ".join(cells).rstrip())
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
