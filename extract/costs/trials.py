"""Trials of networks with random weights on a few pictures, to measure time and memory."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch

from challenge import load_rgb
from execute.forecast.cost import CUDA
from execute.forecast.measure import Values, minimum_time, peak_memory
from extract.backbone import freeze
from extract.backbones.open_clip import build
from extract.layer_listing import largest_output
from extract.picture_reader import BATCH, batch_size
from extract.run import PRECISIONS, batch_limit, compute, prepare
from extract.spaces import TEXT_FAMILIES, Spec
from extract.text.text_space import BATCH as CAPTIONS
from extract.text.text_tower import TextTower
from networks.weights import Request

# NSD's pictures are COCO's, which have five captions each.
CAPTIONS_A_PICTURE = 5
# The number of a network's largest outputs that are in memory at once.
OUTPUTS = 4


def try_network(specs: Sequence[Spec], files: Sequence[str], precision: str) -> Values:
    """Run a network with random weights on some pictures, or a text tower on random tokens.

    Returned are `prepare`, seconds to build it; `read` and `forward`, seconds per picture;
    `at_once`, pictures in a pass; `gpu_memory`, estimated bytes on a GPU; `memory`, bytes.
    """
    if specs[0].family in TEXT_FAMILIES:
        return _try_text(specs[0])
    start, device = perf_counter(), torch.device("cpu")
    spaces = [prepare(spec, Request(spec.name, "random:0"), device, precision) for spec in specs]
    prepared = perf_counter() - start
    backbone, at_once = spaces[0].backbone, spaces[0].at_once
    for space in spaces[1:]:
        space.backbone = backbone
    size = min(batch_size([backbone.size]), at_once)

    def read() -> list[torch.Tensor]:
        return [backbone.preprocess(load_rgb(Path(file))) for file in files]

    pictures = read()
    batch = torch.stack([pictures[n % len(pictures)] for n in range(size)])
    forward = minimum_time(lambda: compute(spaces, batch), enough=2)
    weights = sum(weight.nbytes for weight in backbone.module.parameters())
    outputs = batch_limit(backbone) * largest_output(backbone, spaces[0].layers)
    half = 1 if PRECISIONS[precision] is None else 2
    return {
        "prepare": prepared,
        "read": minimum_time(read) / len(files),
        "forward": forward / size,
        "at_once": at_once,
        "gpu_memory": CUDA + weights + OUTPUTS * outputs // half,
        "memory": peak_memory() + (BATCH - size) * batch[0].nbytes,
    }


def _try_text(spec: Spec) -> Values:
    start = perf_counter()
    tower = TextTower(freeze(build(spec, Request(spec.name, "random:0")).module))
    prepared = perf_counter() - start
    tokens = torch.randint(1, 1000, (CAPTIONS, 16))
    with torch.inference_mode():
        forward = minimum_time(lambda: tower.embed(tokens)) / CAPTIONS * CAPTIONS_A_PICTURE
    weights = sum(weight.nbytes for weight in tower.parameters())
    gpu_memory = CUDA + 2 * weights
    return {"prepare": prepared, "read": 0.0, "forward": forward, "at_once": CAPTIONS,
            "gpu_memory": gpu_memory}  # fmt: skip
