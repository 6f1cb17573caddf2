"""Limits of the length of a code: memory, and the components that responses have."""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from base import machine_memory
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.diffusion.network import LEVELS_PER_CODE, ROWS
from regress.errors import RegressError
from regress.layers.readout import COPIES

# Copies of the matrix of distances between codes: itself, and temporaries of its inverse.
SQUARES = 6
# Copies of a batch of codes: noise, noisy, velocity, estimate and error, some with a gradient.
BATCHES = 8
# A code up to this length costs little, even if a group has fewer components; the rest is 0.
SHORT = 256


def most_components(responses: Responses | Joint, member: NDArray[np.int64]) -> int:
    """Return the largest number of principal components of any group's responses in a subject."""
    edges = np.cumsum([0, *(part.shape[1] for part in responses.parts)])
    widest = [
        int(np.bincount(part_member).max(initial=0))
        for part_member in np.split(member, edges[1:-1])
    ]
    parts = zip(responses.parts, widest, strict=True)
    return max(1, *(min(len(part) - 1, width) for part, width in parts))


def check_latent(
    latent: int, responses: Responses | Joint, member: NDArray[np.int64], batch: int, width: int
) -> None:
    """Check that memory can hold a code of this length, and that groups have the components."""
    n_groups, n_vertices = int(member.max()) + 1, len(member)
    rows = BATCHES * max(LEVELS_PER_CODE * batch, ROWS)

    def needed(size: int) -> int:
        of_group = SQUARES * size + rows + COPIES * 3 * width
        # The code in the network, in its best weights, and in the fitted network.
        return 4 * size * (n_groups * of_group + 3 * n_vertices)

    available = machine_memory()
    max_latent = max(SHORT, most_components(responses, member))
    if latent <= max_latent and needed(latent) <= available:
        return
    fits = bisect_right(range(1, latent), available, key=needed)
    limit, reason = min(fits, max_latent), "which fits"
    if max_latent <= fits:
        reason = (
            f"since no group has more components (pictures to train on: {len(responses)}, "
            f"vertices: {n_vertices})"
        )
    raise RegressError(
        f"latent: found {latent}; codes of so many numbers (groups: {n_groups}) need "
        f"{needed(latent) / 1e9:,.0f} GB to train, and this machine has {available / 1e9:.0f} GB; "
        f"expected at most {limit}, {reason}: --params.latent {limit}"
    )
