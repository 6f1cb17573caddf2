"""What every network family gives: a network, its preprocessing, its layers and its key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from extract.layers import blocks_among, name_layers
from extract.spaces import Spec


@dataclass(frozen=True)
class Activation:
    """What one layer gives for a batch, whatever the network.

    Attributes
    ----------
    vector : Tensor (n_images, n_channels), optional
        For layers without places.
    spatial : Tensor (n_images, n_channels, height, width), optional
        Maps, or the patch tokens laid out as they lie in the picture.
    cls : Tensor (n_images, n_channels), optional
        The class token, where the network has one.

    Without any of them the layer gives nothing that can be pooled: it does not run in evaluation
    mode, or its output is neither a vector, nor tokens, nor maps.
    """

    vector: Tensor | None = None
    spatial: Tensor | None = None
    cls: Tensor | None = None

    @property
    def empty(self) -> bool:
        """Whether it holds nothing."""
        return self.vector is None and self.spatial is None and self.cls is None


# What is kept of a layer's output, by the layer's name; called while the network runs, since many
# networks write over the outputs of their layers afterwards.
Keep = Callable[[str, Activation], Any]


def keep_copy(_name: str, activation: Activation) -> Activation:
    """Keep all of a layer's output.

    Parameters
    ----------
    _name : str
        The layer's name.
    activation : Activation
        Its output for a batch.

    Returns
    -------
    Activation
        A copy, which the network does not write over.
    """
    parts = (activation.vector, activation.spatial, activation.cls)
    return Activation(*(None if part is None else part.clone() for part in parts))


class Forward(Protocol):
    """A network's pass over a batch."""

    def __call__(
        self, batch: Tensor, names: Sequence[str], keep: Keep = keep_copy
    ) -> dict[str, Any]:
        """Return what `keep` gave for each named layer, called with its output as it was made."""


@dataclass
class Backbone:
    """A network ready to run.

    Attributes
    ----------
    module : nn.Module
        The network, in evaluation mode.
    key : dict
        What of it changes the numbers: family, model, digest of the weights, preprocessing.
    origin : str
        Where the weights came from, in words.
    size : int
        Height and width of its input in pixels.
    layers : list of str
        The layers that it can give, those of most use first.
    preprocess : callable
        From a decoded RGB picture to a tensor (3, size, size).
    forward : callable
        From a batch (n_images, 3, size, size) and names of layers to a dict of `Activation`, or of
        what is to be kept of each.
    default_layers : tuple of str
        What a space takes that names no layer.
    blocks : list of str
        The layers that an index or a depth counts, from the picture to the output; those called
        `blocks.N` where the family does not say.
    dtype : str
        What rows are stored as: "float32", or "uint8" for pictures as they are.
    former_weights : callable, optional
        Digests the weights as the keys of earlier versions held them, where `key` holds fewer.
    """

    module: nn.Module
    key: dict[str, Any]
    origin: str
    size: int
    layers: list[str]
    preprocess: Callable[[Image.Image], Tensor]
    forward: Forward
    default_layers: tuple[str, ...] = field(default=())
    blocks: list[str] = field(default_factory=list)
    dtype: str = "float32"
    former_weights: Callable[[], dict[str, object]] | None = None

    def __post_init__(self) -> None:
        self.blocks = self.blocks or blocks_among(self.layers)


def check_layers(spec: Spec, layers: Sequence[str], blocks: Sequence[str] = ()) -> Spec:
    """Name a space's layers, and refuse those that a network lacks, before weights are looked for.

    Parameters
    ----------
    spec : Spec
        With the layers asked for, by name, index or depth.
    layers : sequence of str
        Those that the network has.
    blocks : sequence of str
        Those that an index or a depth counts; those called `blocks.N` by default.

    Returns
    -------
    Spec
        The same space, with every layer by its own name.

    Raises
    ------
    ExtractError
        If there is no such layer; the message lists those that there are.
    """
    return name_layers(spec, layers, blocks or blocks_among(layers))


def lay_out_tokens(tokens: Tensor, prefix: int, has_class: bool = True) -> Activation:
    """Split a transformer's tokens into the class token and the places of the patches.

    Parameters
    ----------
    tokens : Tensor (n_images, prefix + n_patches, n_channels)
        A block's output.
    prefix : int
        How many tokens stand before those of the patches.
    has_class : bool
        Whether the first of these is a class token; they may be registers alone.

    Returns
    -------
    Activation
        `spatial` is None where the patches are not a square.
    """
    patches = tokens[:, prefix:]
    side = round(patches.shape[1] ** 0.5)
    spatial = None
    if side and side * side == patches.shape[1]:
        spatial = patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], side, side)
    return Activation(spatial=spatial, cls=tokens[:, 0] if prefix and has_class else None)


def shaped(
    output: object, prefix: int = 0, has_class: bool = True, channels_last: bool = False
) -> Activation:
    """Tell from its shape what a layer's output is.

    Parameters
    ----------
    output : Tensor
        Of two, three (tokens) or four dimensions (maps).
    prefix, has_class
        As for `lay_out_tokens`.
    channels_last : bool
        Whether maps are (n_images, height, width, n_channels), as Swin's are.

    Returns
    -------
    Activation
        The same numbers, laid out; empty where the output is none of these.
    """
    if not isinstance(output, Tensor):
        return Activation()
    if output.ndim == 2:
        return Activation(vector=output)
    if output.ndim == 3:
        return lay_out_tokens(output, prefix, has_class)
    if output.ndim == 4:
        return Activation(spatial=output.permute(0, 3, 1, 2) if channels_last else output)
    return Activation()


def hooked(
    module: nn.Module, batch: Tensor, names: Sequence[str], keep: Callable[[str, Any], Any]
) -> tuple[Any, dict[str, Any]]:
    """Run a network and keep, of what some of its modules put out, as much as is asked for.

    Parameters
    ----------
    module : nn.Module
        The network.
    batch : Tensor (n_images, 3, size, size)
        Its input.
    names : sequence of str
        Paths of modules, as `named_modules` gives them.
    keep : callable
        From a path and the output of that module to what is kept; nothing of the output itself,
        which modules that run later may write over.

    Returns
    -------
    output : object
        The network's own output.
    kept : dict of str to object
        For each named module, of its last use where it is used twice; modules that did not run are
        left out.
    """
    kept: dict[str, Any] = {}

    def hook_of(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kept[name] = keep(name, output)

        return hook

    handles = [module.get_submodule(name).register_forward_hook(hook_of(name)) for name in names]
    try:
        return module(batch), kept
    finally:
        for handle in handles:
            handle.remove()


def settle(module: nn.Module) -> nn.Module:
    """Make a network fit for reading its layers: evaluation mode, no activation done in place.

    Parameters
    ----------
    module : nn.Module
        The network, changed.

    Returns
    -------
    nn.Module
        The same network.
    """
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.eval()
