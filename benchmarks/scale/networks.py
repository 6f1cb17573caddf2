"""What networks take for a picture: seconds on this machine, and operations."""

import json
import sys
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from extract.run import compute, prepare
from extract.spaces import resolve
from networks.weights import Request


def measure_network(space: str, pictures: int) -> dict[str, float]:
    """Run a network with random weights on a batch of random pictures.

    Parameters
    ----------
    space : str
        A feature space of it.
    pictures : int
        In the batch.

    Returns
    -------
    dict
        `seconds` and `operations` of a picture; a multiplication and an addition are two.
    """
    prepared = prepare(resolve(space), Request(space, "random:0"), torch.device("cpu"))
    size = prepared.backbone.preprocess(_picture()).shape
    batch = torch.rand((pictures, *size))
    with FlopCounterMode(display=False) as counter:
        compute([prepared], batch[:1])
    start = time.perf_counter()
    compute([prepared], batch)
    seconds = time.perf_counter() - start
    return {"seconds": seconds / pictures, "operations": float(counter.get_total_flops())}


def _picture() -> Any:
    from PIL import Image

    return Image.new("RGB", (425, 425))


def main() -> None:
    """Measure the networks that are named; print JSON."""
    asked = json.loads(sys.argv[1])
    print("\n" + json.dumps({s: measure_network(s, n) for s, n in asked["networks"].items()}))


if __name__ == "__main__":
    main()
