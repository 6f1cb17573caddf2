"""Choice of the weights of a transformer to tune: all, the last blocks, low ranks, or none."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from networks.errors import NetworkError

# The name of the frozen weight in the state of a parametrized module.
ORIGINAL = "parametrizations.weight.original"


class LowRank(nn.Module):
    """Low-rank update of a frozen weight: a product of two narrow matrices, initially 0.

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
        """Return the weight plus its update."""
        return torch.addmm(weight, self.up, self.down)


def check_tuning(tuning: Any) -> tuple[str, int]:
    """Parse the setting `tune`: the mode, and its number, or 0.

    It is all, none, last:N (the last N blocks, and what follows them), or lora:R (rank R).
    """
    match = re.fullmatch(r"all|none|(?:last|lora):[1-9]\d*", str(tuning))
    if match is None:
        raise NetworkError(
            f"tune: found {tuning!r}, expected all, none, last:N (the last N blocks) or lora:R "
            "(low ranks added to each layer of the blocks)"
        )
    mode, _, number = str(tuning).partition(":")
    return mode, int(number or 0)


def tune(module: nn.Module, tuning: str) -> None:
    """Freeze all weights except those to train."""
    mode, number = check_tuning(tuning)
    if mode == "all":
        return
    module.requires_grad_(False)
    blocks: Any = module.blocks
    if mode == "last":
        if number > len(blocks):
            raise NetworkError(
                f"tune: found {tuning}, expected at most last:{len(blocks)}, as many as there are"
            )
        norms = [child for name, child in module.named_children() if name in {"norm", "fc_norm"}]
        for part in (*blocks[-number:], *norms):
            part.requires_grad_(True)
    elif mode == "lora":
        # A list, since registering parametrizations adds modules.
        layers = [sublayer for sublayer in blocks.modules() if isinstance(sublayer, nn.Linear)]
        max_rank = min(min(layer.weight.shape) for layer in layers)
        if number > max_rank:
            raise NetworkError(
                f"tune: found {tuning}, expected at most lora:{max_rank}, the width of the "
                "narrowest layer"
            )
        for layer in layers:
            low_rank = LowRank(layer.out_features, layer.in_features, number)
            parametrize.register_parametrization(layer, "weight", low_rank)


def put(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy weights into a network, also under low-rank updates."""
    module_state = module.state_dict()
    for name, values in state.items():
        stem = name.removesuffix("weight")
        module_state[name if name in module_state else stem + ORIGINAL].copy_(values)
