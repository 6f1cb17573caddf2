"""Check that resamples and permutations fit the memory of this machine."""

from base import check_count, machine_memory
from evaluate.resampling.draws import RESAMPLED
from evaluate.resampling.permutation import block_size
from evaluate.resampling.resampler import VERTICES
from evaluate.resampling.threads import n_cores

# Bytes of a float32 and of a float64.
SINGLE, DOUBLE = 4, 8
# Arrays of a block that each core holds in memory at once.
RESAMPLE_ARRAYS, PERMUTATION_ARRAYS = 8, 2
# ROIs, ROI classes and the whole hemisphere; sums of each are pooled four ways: one subject or
# all, one hemisphere or both.
PARTS, POOLED = 40, 4
SHARE = 0.5
"""Share of the machine's memory; the rest is for responses and predictions."""


def check_counts(
    resamples: int, permutations: int, n_pictures: int, n_vertices: int, n_fits: int
) -> None:
    """Check that resamples and permutations of a hemisphere fit the memory."""
    memory = int(SHARE * machine_memory())
    reason = (
        f"{n_pictures} pictures, {n_vertices} vertices and {n_fits} fits leave memory for so many "
        f"on this machine ({machine_memory() / 1e9:.0f} GB)"
    )
    # Weights; means and deviations of the responses; blocks in work; sums of parts.
    resample_bytes = SINGLE * (3 * n_pictures + 2 * n_vertices)
    resample_bytes += SINGLE * RESAMPLE_ARRAYS * VERTICES * n_cores()
    resample_bytes += DOUBLE * len(RESAMPLED) * PARTS * (1 + POOLED * (n_fits + 1))
    check_count("--resamples", resamples, memory // resample_bytes, reason)
    # Correlations of the vertices of a block; the greatest correlation of each block.
    block = block_size(n_pictures, n_vertices)
    permutation_bytes = SINGLE * PERMUTATION_ARRAYS * block * n_cores()
    permutation_bytes += SINGLE * -(-n_vertices // block) * (n_fits + 1)
    check_count("--permutations", permutations, memory // permutation_bytes, reason)
