"""Calibration of the spread of draws by the errors of predictions."""

import logging
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regress.diffusion.network import DiffusionNetwork

log = logging.getLogger("regress")

Rows = NDArray[np.int64]
# Some pictures of a subject: the network of its vertices, features, responses, and the columns of
# these vertices in the network of all.
Block = tuple[DiffusionNetwork, Tensor, Tensor, Rows]


def calibrate_spread(network: DiffusionNetwork, blocks: Iterable[Block]) -> None:
    """Set a network's `factor` by its errors on pictures that it was not trained on.

    References
    ----------
    Levi, Gispan, Giladi, Fetaya (2022). Evaluating and calibrating uncertainty prediction in
    regression tasks. Sensors 22: spreads are multiplied by one number.
    """
    member = network.member.numpy()
    vertex_errors, vertex_spreads = np.zeros(len(member)), np.zeros(len(member))
    left, total = 0.0, 0.0
    for part, features, measured, columns in blocks:
        part.eval()
        with torch.inference_mode():
            rest = measured - part.decode(part.encode(measured)[0])
            left += float((rest.double() ** 2).sum())
            total += float(((measured - part.offset).double() ** 2).sum())
            error = (measured - part(features)).double()
            vertex_errors[columns] += (error**2).sum(0).numpy()
            vertex_spreads[columns] += (part.spread(features).double() ** 2).sum(0).numpy()
    if not total:
        return
    errors, spreads = (np.bincount(member, sums) for sums in (vertex_errors, vertex_spreads))
    positive = spreads > 0
    ratio = np.where(positive, errors / np.where(positive, spreads, 1), 1) ** 0.5
    network.factor.mul_(torch.from_numpy(ratio).float())
    log.info(
        "the code keeps %.1f %% of the variance of the validation pictures' responses; the "
        "spread of the draws is %.2f times the error there, and is corrected by factors of "
        "%.2f to %.2f",
        100 * (1 - left / total),
        (spreads.sum() / max(errors.sum(), 1e-300)) ** 0.5,
        ratio.min(),
        ratio.max(),
    )
