"""Blocks of vertices on all cores, one thread of BLAS in each."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def map_blocks(work: Callable[[slice], Any], n_vertices: int, size: int) -> Iterable[Any]:
    """Call a function with each block of vertices.

    `work` is called with a slice, from several threads at once. BLAS gets one thread: products of
    blocks are too small to share among cores, and on a busy machine BLAS's threads would wait for
    one another twenty times as long as the work takes.
    """
    blocks = [slice(start, start + size) for start in range(0, n_vertices, size)]
    with _libraries().limit(limits=1, user_api="blas"):
        if len(blocks) == 1:
            yield work(blocks[0])
            return
        with ThreadPoolExecutor(n_cores()) as pool:
            yield from pool.map(work, blocks)


@cache
def _libraries() -> ThreadpoolController:
    # Finding the loaded libraries takes longer than a small ROI.
    return ThreadpoolController()


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
