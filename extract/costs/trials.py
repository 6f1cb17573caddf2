"""Trials of networks with random weights on a few pictures, to measure time and memory."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch

from challenge import load_rgb
from execute.forecast.calibration import Values, minimum_time
from execute.forecast.measure import peak_memory
from extract.backbone import freeze
from extract.backbones.open_clip import build
from extract.layer_listing import largest_output
from extract.picture_reader import BATCH, batch_size
from extract.run import PRECISIONS, Prepared, compute, prepare
from extract.spaces import Spec
from extract.text.text_space import BATCH as CAPTIONS
from extract.text.text_tower import TextTower
from networks.weights import Request

# NSD's pictures are COCO's, which have five captions each.
CAPTIONS_A_PICTURE = 5
# Memory of CUDA itself, and the number of a network's largest outputs that are in memory at once.
CUDA, OUTPUTS = 500 << 20, 4


def try_network(specs: Sequence[Spec], files: Sequence[str], precision: str) -> Values:
    """Run a network with random weights on some pictures.

    Returns
    -------
    dict
        `prepare`, seconds to build it; `decode`, `preprocess` and `forward`, seconds per picture;
        `at_once`, pictures in a pass; `gpu_memory`, estimated bytes on a GPU; `memory`, bytes.
    """
    start = perf_counter()
    device = torch.device("cpu")
    spaces = [prepare(spec, Request(spec.name, "random:0"), device, precision) for spec in specs]
    prepared = perf_counter() - start
    backbone = spaces[0].backbone
    for space in spaces[1:]:
        space.backbone = backbone
    paths = [Path(file) for file in files]
    pictures = [load_rgb(path) for path in paths]
    decode = minimum_time(lambda: [load_rgb(path) for path in paths]) / len(paths)
    preprocess = minimum_time(lambda: [backbone.preprocess(p) for p in pictures]) / len(paths)
    size = min(batch_size([backbone.size]), max(1, spaces[0].at_once))
    batch = torch.stack([backbone.preprocess(pictures[n % len(pictures)]) for n in range(size)])
    forward = minimum_time(lambda: compute(spaces, batch), enough=2) / size
    return {
        "prepare": prepared,
        "decode": decode,
        "preprocess": preprocess,
        "forward": forward,
        "at_once": spaces[0].at_once,
        "gpu_memory": _gpu_memory(spaces[0]),
        "memory": peak_memory() + (BATCH - size) * batch[0].nbytes,
    }


def _gpu_memory(prepared: Prepared) -> int:
    backbone = prepared.backbone
    weights = sum(p.nbytes for p in backbone.module.parameters())
    outputs = largest_output(backbone, prepared.layers)
    half = 1 if PRECISIONS[prepared.precision] is None else 2
    at_once = max(1, min(BATCH, int(BATCH * (224 / backbone.size) ** 2)))
    return CUDA + weights + OUTPUTS * at_once * outputs // half


def try_text(spec: Spec) -> Values:
    """Run a text tower with random weights on random tokens."""
    start = perf_counter()
    clip = build(spec, Request(spec.name, "random:0"))
    tower = TextTower(freeze(clip.module))
    prepared = perf_counter() - start
    tokens = torch.randint(1, 1000, (CAPTIONS, 16))
    with torch.inference_mode():
        forward = minimum_time(lambda: tower.embed(tokens)) / CAPTIONS * CAPTIONS_A_PICTURE
    weights = sum(p.nbytes for p in tower.parameters())
    return {"prepare": prepared, "decode": 0.0, "preprocess": 0.0, "forward": forward,
            "at_once": CAPTIONS, "gpu_memory": CUDA + 2 * weights}  # fmt: skip
