"""How large a code can be: as memory allows, and as responses have components."""

import os
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.diffusion.network import LEVELS_PER_CODE, ROWS
from regress.errors import RegressError
from regress.layers.readout import COPIES

# Of the distances between codes: themselves, and what their inverse takes on the way.
SQUARES = 6
# Of a batch of codes: noise, noisy, velocity, guess and error, some with a gradient.
BATCHES = 8
# A code so short costs little, though a group may have fewer components: the rest of it is 0.
SHORT = 256


def most_components(responses: Responses | Joint, member: NDArray[np.int64]) -> int:
    """Say how many principal components the responses of a group have at most.

    Parameters
    ----------
    responses : Responses or Joint (n_images, n_vertices)
        Of one subject or several, who have codes of their own.
    member : array of int (n_vertices,)
        The group of each vertex.

    Returns
    -------
    int
        Of the group with the most: no more than vertices, or than pictures less one.
    """
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
    """Refuse a code that memory cannot hold, or longer than is of any use, before it is found.

    Parameters
    ----------
    responses : Responses or Joint (n_images, n_vertices)
        To the pictures that are trained on; nothing is read.
    member : array of int (n_vertices,)
        The group of each vertex.
    """
    n_groups, n_vertices = int(member.max()) + 1, len(member)
    rows = BATCHES * max(LEVELS_PER_CODE * batch, ROWS)

    def needed(size: int) -> int:
        of_group = SQUARES * size + rows + COPIES * 3 * width
        # The code in the network, at its best, and in what becomes of it.
        return 4 * size * (n_groups * of_group + 3 * n_vertices)

    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
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
