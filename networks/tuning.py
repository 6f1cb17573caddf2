"""Which weights of a transformer are trained further: all, the last blocks', low ranks, or none."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from networks.errors import NetworkError

# Where `parametrize` keeps the weight that is added to.
ORIGINAL = "parametrizations.weight.original"


class LowRank(nn.Module):
    """What is added to a frozen weight: a product of two narrow matrices, 0 to begin with.

    Parameters
    ----------
    n_outputs, n_inputs : int
        The weight's shape.
    rank : int
        Columns of one, and rows of the other.

    References
    ----------
    Hu et al. (2022). LoRA: low-rank adaptation of large language models. ICLR, equation 3, with
    alpha as large as the rank.
    """

    def __init__(self, n_outputs: int, n_inputs: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, n_inputs) / n_inputs**0.5)
        self.up = nn.Parameter(torch.zeros(n_outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Add to a weight."""
        return torch.addmm(weight, self.up, self.down)


def check_tuning(how: Any) -> tuple[str, int]:
    """Read how a network is to be trained further.

    Parameters
    ----------
    how : str
        all, none, last:N (the last N blocks, and what follows them), or lora:R (rank R).

    Returns
    -------
    (str, int)
        The word, and the number, 0 where there is none.
    """
    match = re.fullmatch(r"all|none|(?:last|lora):[1-9]\d*", str(how))
    if match is None:
        raise NetworkError(
            f"tune: found {how!r}, expected all, none, last:N (the last N blocks) or lora:R (low "
            "ranks added to each layer of the blocks)"
        )
    word, _, number = str(how).partition(":")
    return word, int(number or 0)


def tune(module: nn.Module, how: str) -> None:
    """Leave as they are all weights but those that are to be trained."""
    word, number = check_tuning(how)
    if word == "all":
        return
    module.requires_grad_(False)
    blocks: Any = module.blocks
    if word == "last":
        if number > len(blocks):
            raise NetworkError(
                f"tune: found {how}, expected at most last:{len(blocks)}, as many as there are"
            )
        after = [own for name, own in module.named_children() if name in {"norm", "fc_norm"}]
        for part in (*blocks[-number:], *after):
            part.requires_grad_(True)
    elif word == "lora":
        # A list: what is added are modules too.
        layers = [one for one in blocks.modules() if isinstance(one, nn.Linear)]
        most = min(min(layer.weight.shape) for layer in layers)
        if number > most:
            raise NetworkError(
                f"tune: found {how}, expected at most lora:{most}, the width of the narrowest layer"
            )
        for layer in layers:
            added = LowRank(layer.out_features, layer.in_features, number)
            parametrize.register_parametrization(layer, "weight", added)


def put(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Put plain weights into a network, also where low ranks are added to them."""
    own = module.state_dict()
    for name, values in state.items():
        stem = name.removesuffix("weight")
        own[name if name in own else stem + ORIGINAL].copy_(values)
