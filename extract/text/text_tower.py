"""CLIP's text towers through open_clip, with the tokenizers that come with it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import open_clip
from torch import Tensor, nn
from torch.func import functional_call

from extract.errors import ExtractError
from extract.spaces import Spec

FAMILY = "open_clip_text"
LAYER = "embedding"
# What of a CLIP model its text tower does without.
OTHER_PARTS = ("visual", "text_decoder", "logit_scale", "logit_bias")


class TextTower(nn.Module):
    """The part of a CLIP model that embeds texts.

    Parameters
    ----------
    clip : nn.Module
        The model; its other parts are taken out of it.
    """

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        for name in OTHER_PARTS:
            if hasattr(clip, name):
                delattr(clip, name)
        self.clip = clip

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed tokens as they are."""
        return self.clip.encode_text(tokens)  # type: ignore[operator]

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed tokens without computing what comes after the longest caption.

        A causal tower reads its output at the end mark, and no token sees those behind it: for
        captions of some fifteen tokens, most of the context is padding that changes nothing.
        """
        text: Any = getattr(self.clip, "text", self.clip)
        pool = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
        # CoCa appends a class token, whose place depends on the length.
        causal = isinstance(text.attn_mask, Tensor) and getattr(text, "cls_emb", None) is None
        if not causal or pool != "argmax":
            return self(tokens)
        # The end mark has the highest number of all tokens.
        length = int(tokens.argmax(dim=1).max()) + 1
        prefix = "clip" if text is self.clip else "clip.text"
        shorter = {
            f"{prefix}.positional_embedding": text.positional_embedding[:length],
            f"{prefix}.attn_mask": text.attn_mask[:length, :length],
        }
        return functional_call(self, shorter, (tokens[:, :length],))


def check_text(spec: Spec) -> None:
    """Refuse what a text tower does not have; to be done before weights are looked for."""
    if spec.layers not in ((), (LAYER,)):
        raise ExtractError(
            f"{spec.name}: a text tower has no layer {'+'.join(spec.layers)}; expected {LAYER}: "
            f"write {FAMILY}:{spec.model}/{spec.weights or 'TAG'}@{LAYER}"
        )
    if spec.pooling is not None:
        raise ExtractError(
            f"{spec.name}: pooling {spec.pooling!r}, but a caption's embedding has no places; "
            f"expected none: leave out #{spec.pooling}"
        )
    text = model_config(spec).get("text_cfg", {})
    foreign = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    if foreign:
        raise ExtractError(
            f"{spec.name}: {spec.model} reads texts with {foreign} of Hugging Face's transformers, "
            "which is not supported; expected a model with CLIP's own tokenizer, such as ViT-B-32"
        )


def model_config(spec: Spec) -> dict[str, Any]:
    """Read how one of open_clip's models is built.

    Returns
    -------
    dict
        With `embed_dim` and `text_cfg`; empty where there is no such model.
    """
    # open_clip would look for other names on the hub.
    known = spec.model in open_clip.list_models()
    return dict(open_clip.get_model_config(spec.model)) if known else {}


def tokenizer_key(spec: Spec, tokenizer: Any) -> dict[str, Any]:
    """Identify a tokenizer by its class, settings, vocabulary and the order of its merges."""
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.get)
    content = [sorted(tokenizer.encoder.items()), merges, tokenizer.pat.pattern]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return {
        "name": type(tokenizer).__name__,
        "settings": model_config(spec)["text_cfg"].get("tokenizer_kwargs", {}),
        "digest": hashlib.sha256(text.encode()).hexdigest()[:16],
    }


def count_cut(tokenizer: Any, captions: Sequence[str], tokens: Tensor) -> int:
    """Count the captions that were too long for the model."""
    full = (tokens[:, -1] != 0).tolist()
    # Of those that fill the context, some fit exactly; two marks stand around the words.
    return sum(
        len(tokenizer.encode(text)) + 2 > tokenizer.context_length
        for text, fills in zip(captions, full, strict=True)
        if fills
    )
