"""CLIP's image towers through open_clip: any model and pretrained tag.

Layers: `embedding` is `encode_image` (not normalised), `blocks.N` the output of the transformer's
block N, before the last norm.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    freeze,
    keep_copy,
    run_with_hooks,
    split_tokens,
    to_activation,
)
from extract.errors import ExtractError
from extract.layers import check_layers
from extract.spaces import Spec
from networks.hub import HubFile
from networks.weights import Request, drawing, load_into, weights_key

PACKAGE = "open_clip_torch"
# Entries of files of weights that embeddings do not depend on: scale and shift of similarities,
# settings in files of OpenAI, and the position numbers 0, 1, 2 … of older text towers.
UNUSED = ("logit_scale", "logit_bias")
SETTINGS = ("input_resolution", "context_length", "vocab_size")
POSITIONS = ".embeddings.position_ids"
HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class Clip:
    """A model of open_clip, with image and text tower."""

    module: Any  # its weights are random before `load_weights`
    title: str  # its full name, for errors
    published: dict[str, Any]  # on the weights: their address and preprocessing
    quick_gelu: bool  # whether they were trained with OpenAI's approximation of GELU


def build(spec: Spec, request: Request) -> Clip:
    """Build a model of open_clip with random weights; trained ones are not loaded yet."""
    tag = _tag(spec)
    published = open_clip.pretrained.get_pretrained_cfg(spec.model, tag)
    # OpenAI's weights were trained with another GELU; open_clip only warns when it is not set.
    quick_gelu = bool(published.get("quick_gelu", False))
    with drawing(request.seed), _warnings_disabled():
        module = open_clip.create_model(
            spec.model, pretrained=None, force_quick_gelu=quick_gelu, pretrained_hf=False
        )
    return Clip(module, f"open_clip's {spec.model} ({tag})", published, quick_gelu)


def load_weights(clip: Clip, request: Request) -> str:
    """Load the weights of both towers, unless random ones are requested; return their origin."""
    if request.seed is not None:
        return request.seed_origin
    repo, _, name = str(clip.published.get("hf_hub", "")).rpartition("/")
    hub = HubFile(repo, (name,) if name else HUB_NAMES)
    if not repo:
        hub = HubFile(url=str(clip.published["url"]))
    source = request.find(clip.title, hub, [])
    if source.path is None or source.path.suffix != ".npz":
        load_into(clip.module, _convert_state(source.load(), clip.module), source.origin, UNUSED)
        return source.origin
    # JAX arrays, which open_clip supports for SigLIP.
    try:
        open_clip.load_checkpoint(clip.module, str(source.path))
    except Exception as error:  # one of many errors, which all mean the same to the user
        reason = " ".join(str(error).split())[:300]
        raise ExtractError(
            f"{source.path}: cannot be loaded into {clip.title}: {reason}"
        ) from error
    return source.origin


def _convert_state(state: dict[str, Tensor], module: Any) -> dict[str, Tensor]:
    """Rename the tensors of older files and resample position embeddings, as open_clip does."""
    state = {n: v for n, v in state.items() if n not in SETTINGS and not n.endswith(POSITIONS)}
    try:
        state = convert_state_dict(module, state)
        if not hasattr(module, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        resize_pos_embed(state, module)
        resize_text_pos_embed(state, module)
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, ValueError):
        pass  # of another network: `load_into` reports the differences
    return state


def load(spec: Spec, request: Request) -> Backbone:
    """Build the image tower of a model of open_clip with its weights."""
    clip = build(spec, request)
    visual: Any = freeze(clip.module.visual)
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
def _warnings_disabled() -> Iterator[None]:
    # open_clip warns that the weights are random; they are loaded and checked afterwards.
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
        problem = "names no weights" if tag is None else f"has no weights {tag!r}"
        raise ExtractError(
            f"{spec.name}: open_clip's {spec.model} {problem}: write "
            f"{spec.family}:{spec.model}/TAG with a tag from {', '.join(tags) or 'none'}"
        )
    return str(tag)


def _preprocessing(visual: Any, published: dict[str, Any]) -> PreprocessCfg:
    # The size is that of the model; colours and resizing are those of the weights.
    fields = ("mean", "std", "interpolation", "resize_mode")
    published_fields = {name: published[name] for name in fields if published.get(name) is not None}
    return PreprocessCfg(**{**visual.preprocess_cfg, **published_fields})


def _blocks(visual: nn.Module) -> dict[str, str]:
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    return {f"blocks.{i}": f"transformer.resblocks.{i}" for i in range(len(blocks))}


def _forward(visual: Any, blocks: dict[str, str]) -> Any:
    batch_first = getattr(getattr(visual, "transformer", None), "batch_first", True)

    names_of = {path: name for name, path in blocks.items()}

    def forward(batch: Tensor, names: Sequence[str], keep: Keep = keep_copy) -> dict[str, Any]:
        def keep_block(path: str, tokens: Tensor) -> Any:
            activation = split_tokens(tokens if batch_first else tokens.transpose(0, 1), 1)
            return keep(names_of[path], activation)

        output, outputs = run_with_hooks(
            visual, batch, [blocks[n] for n in names if n in blocks], keep_block
        )
        activations = {names_of[path]: value for path, value in outputs.items()}
        if "embedding" in names:
            # CoCa's tower also returns the tokens for its decoder.
            embedding = output[0] if isinstance(output, tuple) else output
            activations["embedding"] = keep("embedding", to_activation(embedding))
        return {name: activations[name] for name in names}

    return forward
