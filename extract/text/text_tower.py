"""CLIP's text towers in open_clip, with its tokenizers."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from torch.func import functional_call

from extract.errors import ExtractError
from extract.spaces import Spec

FAMILY = "open_clip_text"
LAYER = "embedding"
# Parts of a CLIP model that its text tower does not need.
OTHER_PARTS = ("visual", "text_decoder", "logit_scale", "logit_bias")


class TextTower(nn.Module):
    """The part of a CLIP model that embeds texts; its other parts are removed."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        for name in OTHER_PARTS:
            if hasattr(clip, name):
                delattr(clip, name)
        self.clip = clip

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed tokens of the full context length."""
        return self.clip.encode_text(tokens)  # type: ignore[operator]

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed tokens, skipping the padding after the longest caption if it changes nothing.

        The output of a causal tower is that of the end mark, which does not depend on later tokens:
        for captions of some fifteen tokens, most of the context is padding.
        """
        text: Any = getattr(self.clip, "text", self.clip)
        pool = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
        # CoCa appends a class token, whose position depends on the length.
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
    """Check that a text tower supports a space, before its weights are loaded."""
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
    """Return open_clip's configuration of a model, with `embed_dim` and `text_cfg`, or empty."""
    # open_clip would search the hub for unknown names.
    exists = spec.model in open_clip.list_models()
    return dict(open_clip.get_model_config(spec.model)) if exists else {}


def tokenizer_key(spec: Spec, tokenizer: Any) -> dict[str, Any]:
    """Return the key of a tokenizer: class, settings, and digest of vocabulary and merges."""
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
    full = [captions[row] for row in torch.nonzero(tokens[:, -1]).flatten().tolist()]
    # Some captions fill the context exactly; two marks enclose the words.
    return sum(len(tokenizer.encode(text)) + 2 > tokenizer.context_length for text in full)
