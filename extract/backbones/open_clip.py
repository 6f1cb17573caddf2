"""CLIP's image towers through open_clip: any model and pretrained tag.

Layers: `embedding` is `encode_image` (not normalised), `blocks.N` the output of the transformer's
block N, before the last norm.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import open_clip.pretrained
from open_clip.convert import convert_state_dict
from open_clip.model import (
    convert_to_custom_text_state_dict,
    resize_pos_embed,
    resize_text_pos_embed,
)
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from extract.backbone import (
    Backbone,
    Keep,
    check_layers,
    hooked,
    keep_copy,
    lay_out_tokens,
    settle,
    shaped,
)
from extract.errors import ExtractError
from extract.spaces import Spec
from networks.hub import HubFile
from networks.weights import Request, drawing, load_into, weights_key

PACKAGE = "open_clip_torch"
# By what similarities are multiplied and shifted, which no embedding passes; what files of OpenAI
# hold beside the weights; and the numbers 0, 1, 2 … of older text towers.
UNUSED = ("logit_scale", "logit_bias")
SETTINGS = ("input_resolution", "context_length", "vocab_size")
POSITIONS = ".embeddings.position_ids"
HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class Clip:
    """One of open_clip's models, image and text tower.

    Attributes
    ----------
    module : nn.Module
        The model; its weights are random before `load_weights`.
    title : str
        Its full name, for errors.
    published : dict
        What open_clip knows of the weights: where they are, and their preprocessing.
    quick_gelu : bool
        Whether the weights' GELU is the approximation that OpenAI trained with.
    """

    module: Any
    title: str
    published: dict[str, Any]
    quick_gelu: bool


def build(spec: Spec, request: Request) -> Clip:
    """Build one of open_clip's models, without its weights.

    Parameters
    ----------
    spec : Spec
        Which model and tag.
    request : Request
        Its seed, where random weights are wanted.

    Returns
    -------
    Clip
        Its weights are those of the seed, else still to be loaded.
    """
    tag = _tag(spec)
    published = open_clip.pretrained.get_pretrained_cfg(spec.model, tag)
    # OpenAI's weights were trained with another GELU; open_clip only warns when it is not set.
    quick_gelu = bool(published.get("quick_gelu", False))
    with drawing(request.seed), _quiet():
        module = open_clip.create_model(
            spec.model, pretrained=None, force_quick_gelu=quick_gelu, pretrained_hf=False
        )
    return Clip(module, f"open_clip's {spec.model} ({tag})", published, quick_gelu)


def load_weights(clip: Clip, request: Request) -> str:
    """Load the weights of both towers, unless random ones are wanted.

    Parameters
    ----------
    clip : Clip
        The model, changed.
    request : Request
        Where the weights may come from.

    Returns
    -------
    str
        Where they came from, in words.

    Raises
    ------
    NetworkError
        If they are nowhere, or are of another network.
    """
    if request.seed is not None:
        return request.seed_origin
    repo, _, name = str(clip.published.get("hf_hub", "")).rpartition("/")
    hub = HubFile(repo, (name,) if name else HUB_NAMES)
    if not repo:
        hub = HubFile(url=str(clip.published["url"]))
    found = request.find(clip.title, hub, [])
    if found.path is not None and found.path.suffix == ".npz":
        _load_arrays(clip, found.path)
    else:
        load_into(clip.module, _fitted(found.load(), clip.module), found.origin, UNUSED)
    return found.origin


def _load_arrays(clip: Clip, path: Path) -> None:
    """Load a file of JAX's arrays, of which open_clip reads those of SigLIP."""
    try:
        open_clip.load_checkpoint(clip.module, str(path))
    except Exception as error:  # any of many, and each means the same to the user
        raise ExtractError(
            f"{path}: cannot be loaded into {clip.title}: {' '.join(str(error).split())[:300]}"
        ) from error


def _fitted(state: dict[str, Tensor], module: Any) -> dict[str, Tensor]:
    """Rename the tensors of older files, and resample places, as open_clip does."""
    state = {n: v for n, v in state.items() if n not in SETTINGS and not n.endswith(POSITIONS)}
    try:
        state = convert_state_dict(module, state)
        if not hasattr(module, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        resize_pos_embed(state, module)
        resize_text_pos_embed(state, module)
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, ValueError):
        pass  # of another network: what does not fit is said where they are loaded
    return state


def load(spec: Spec, request: Request) -> Backbone:
    """Build the image tower of one of open_clip's models with its weights.

    Parameters
    ----------
    spec : Spec
        Which model, tag and layers.
    request : Request
        Where the weights may come from.

    Returns
    -------
    Backbone
        Ready to run.
    """
    clip = build(spec, request)
    visual: Any = settle(clip.module.visual)
    blocks = _blocks(visual)
    layers = ["embedding", *blocks]
    check_layers(spec, layers)
    origin = load_weights(clip, request)
    preprocess = _preprocessing(visual, clip.published)
    size = preprocess.size if isinstance(preprocess.size, int) else preprocess.size[0]
    return Backbone(
        module=visual,
        key={
            "family": "open_clip",
            "model": spec.model,
            "quick_gelu": clip.quick_gelu,
            "weights": weights_key(visual, request.seed, PACKAGE),
            "preprocessing": {
                "size": size,
                "mean": list(preprocess.mean),
                "std": list(preprocess.std),
                "interpolation": preprocess.interpolation,
                "resize_mode": preprocess.resize_mode,
            },
        },
        origin=origin,
        size=size,
        layers=layers,
        preprocess=image_transform_v2(preprocess, is_train=False),
        forward=_forward(visual, blocks),
        default_layers=("embedding",),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    # open_clip warns that the weights are random; here they are loaded, and checked, afterwards.
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _tag(spec: Spec) -> str:
    if spec.model not in open_clip.list_models():
        near = [name for name in open_clip.list_models() if name[:5] == spec.model[:5]]
        raise ExtractError(
            f"{spec.name}: open_clip has no model {spec.model!r}: choose from "
            f"{', '.join(near or open_clip.list_models())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(spec.model)
    tag = spec.weights or (tags[0] if len(tags) == 1 else None)
    if tag not in tags:
        found = "names no weights" if tag is None else f"has no weights {tag!r}"
        raise ExtractError(
            f"{spec.name}: open_clip's {spec.model} {found}: write "
            f"{spec.family}:{spec.model}/TAG with a tag from {', '.join(tags) or 'none'}"
        )
    return str(tag)


def _preprocessing(visual: Any, published: dict[str, Any]) -> PreprocessCfg:
    # The size is the model's; the colours and the resizing are those that the weights expect.
    fields = ("mean", "std", "interpolation", "resize_mode")
    own = {name: published[name] for name in fields if published.get(name) is not None}
    return PreprocessCfg(**{**visual.preprocess_cfg, **own})


def _blocks(visual: nn.Module) -> dict[str, str]:
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    return {f"blocks.{i}": f"transformer.resblocks.{i}" for i in range(len(blocks))}


def _forward(visual: Any, blocks: dict[str, str]) -> Any:
    batch_first = getattr(getattr(visual, "transformer", None), "batch_first", True)

    names_of = {path: name for name, path in blocks.items()}

    def forward(batch: Tensor, names: Sequence[str], keep: Keep = keep_copy) -> dict[str, Any]:
        def keep_block(path: str, tokens: Tensor) -> Any:
            laid = lay_out_tokens(tokens if batch_first else tokens.transpose(0, 1), 1)
            return keep(names_of[path], laid)

        output, kept = hooked(visual, batch, [blocks[n] for n in names if n in blocks], keep_block)
        given = {names_of[path]: value for path, value in kept.items()}
        if "embedding" in names:
            # CoCa's tower gives the tokens for its decoder too.
            embedding = output[0] if isinstance(output, tuple) else output
            given["embedding"] = keep("embedding", shaped(embedding))
        return {name: given[name] for name in names}

    return forward
