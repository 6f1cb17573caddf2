"""The interface of network families: a network, its preprocessing, its layers and its key."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from extract.layers import find_blocks


@dataclass(frozen=True)
class Activation:
    """The output of a layer for a batch, in a form that does not depend on the network.

    Attributes
    ----------
    vector : Tensor (n_images, n_channels), optional
        The output of a layer without spatial positions.
    spatial : Tensor (n_images, n_channels, height, width), optional
        Maps, or the patch tokens arranged as in the picture.
    cls : Tensor (n_images, n_channels), optional
        The class token, if the network has one.

    Without any of them the layer cannot be pooled: it does not run in evaluation mode, or its
    output is neither a vector, nor tokens, nor maps.
    """

    vector: Tensor | None = None
    spatial: Tensor | None = None
    cls: Tensor | None = None

    @property
    def empty(self) -> bool:
        """Whether the output cannot be pooled."""
        return self.vector is None and self.spatial is None and self.cls is None


# Returns what to keep of a layer's output, given the layer's name; called while the network runs,
# since many networks overwrite the outputs of their layers afterwards.
Keep = Callable[[str, Activation], Any]


def keep_copy(_name: str, activation: Activation) -> Activation:
    """Return a copy of a layer's output, which the network does not overwrite."""
    parts = (activation.vector, activation.spatial, activation.cls)
    return Activation(*(None if part is None else part.clone() for part in parts))


class Forward(Protocol):
    """A network's pass over a batch."""

    def __call__(
        self, batch: Tensor, names: Sequence[str], keep: Keep = keep_copy
    ) -> dict[str, Any]:
        """Run the network and return, by layer, the result of `keep` for the layer's output."""


@dataclass
class Backbone:
    """A network ready to run.

    Attributes
    ----------
    module : nn.Module
        The network, in evaluation mode.
    key : dict
        The settings that change the numbers: family, model, digest of the weights, preprocessing.
    origin : str
        A description of the source of the weights.
    size : int
        Height and width of its input in pixels.
    layers : list of str
        The names of its layers, the most useful ones first.
    preprocess : callable
        Converts a decoded RGB picture to a tensor (3, size, size).
    forward : callable
        Returns, for a batch (n_images, 3, size, size) and names of layers, a dict of `Activation`,
        or of the results of `keep`.
    default_layers : tuple of str
        The layers of a space that names none.
    blocks : list of str
        The layers that an index or a depth counts, from the picture to the output; by default
        those called `blocks.N`.
    dtype : str
        The type of the stored rows: "float32", or "uint8" for unchanged pictures.
    former_weights : callable, optional
        Returns the key of the weights in earlier versions, where it included more tensors.
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
        self.blocks = self.blocks or find_blocks(self.layers)


def split_tokens(tokens: Tensor, prefix: int, has_class: bool = True) -> Activation:
    """Split a transformer's tokens into the class token and a map of the patches.

    The tokens, (n_images, prefix + n_patches, n_channels), begin with `prefix` others than those of
    the patches, the first of which is a class token if there is one; the others are registers.
    There is no map if the patches do not form a square.
    """
    patches = tokens[:, prefix:]
    side = round(patches.shape[1] ** 0.5)
    spatial = None
    if side and side * side == patches.shape[1]:
        spatial = patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], side, side)
    return Activation(spatial=spatial, cls=tokens[:, 0] if prefix and has_class else None)


def to_activation(
    output: object, prefix: int = 0, has_class: bool = True, channels_last: bool = False
) -> Activation:
    """Convert a layer's output to an `Activation`, by its number of dimensions.

    Two dimensions are a vector, three tokens (for which see `split_tokens`), four maps, which are
    (n_images, height, width, n_channels) if `channels_last`, as in Swin. The result is empty for
    any other output.
    """
    match output:
        case Tensor(ndim=2):
            return Activation(vector=output)
        case Tensor(ndim=3):
            return split_tokens(output, prefix, has_class)
        case Tensor(ndim=4):
            return Activation(spatial=output.permute(0, 3, 1, 2) if channels_last else output)
    return Activation()


def run_with_hooks(
    module: nn.Module, batch: Tensor, names: Sequence[str], keep: Callable[[str, Any], Any]
) -> tuple[Any, dict[str, Any]]:
    """Run a network, and collect the outputs of some of its modules.

    `names` are paths of modules, as in `named_modules`. `keep` returns what to keep, given the path
    and the output of a module; not the output itself, which later modules may overwrite. Return the
    network's output, and the result of `keep` for the last use of each module that runs.
    """
    outputs: dict[str, Any] = {}

    def store(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        outputs[name] = keep(name, output)

    with ExitStack() as stack:
        for name in names:
            hook = partial(store, name)
            stack.enter_context(module.get_submodule(name).register_forward_hook(hook))
        return module(batch), outputs


def freeze(module: nn.Module) -> nn.Module:
    """Set a network to evaluation mode without gradients and in-place activations; return it."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.eval()
