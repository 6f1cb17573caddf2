"""Calibration of the spread of draws by the errors of predictions."""

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regress.diffusion.network import DiffusionNetwork

log = logging.getLogger("regress")

Rows = NDArray[np.int64]


class Calibration:
    """Compares a network's spread with its errors on pictures that it was not trained on.

    Parameters
    ----------
    network : DiffusionNetwork
        Network whose `factor`, one number per group, is set by `apply`.

    References
    ----------
    Levi, Gispan, Giladi, Fetaya (2022). Evaluating and calibrating uncertainty prediction in
    regression tasks. Sensors 22: spreads are multiplied by one number.
    """

    def __init__(self, network: DiffusionNetwork) -> None:
        self._network = network
        n_vertices = len(network.member)
        self._errors, self._spreads = np.zeros(n_vertices), np.zeros(n_vertices)
        self._left, self._total = 0.0, 0.0

    def add(
        self,
        network: DiffusionNetwork,
        features: Tensor,
        responses: NDArray[np.float32],
        columns: Rows,
    ) -> None:
        """Add some pictures of a subject.

        Parameters
        ----------
        responses : array of float32 (n_images, n_vertices)
            Responses to these pictures.
        columns : array of int (n_vertices,)
            Indices of these vertices in the whole network.
        """
        measured = torch.from_numpy(responses)
        network.eval()
        with torch.inference_mode():
            codes, _ = network.encode(measured)
            left = measured - network.decode(codes)
            self._left += float((left.double() ** 2).sum())
            self._total += float(((measured - network.offset).double() ** 2).sum())
            wrong = (measured - network(features)).double()
            self._errors[columns] += (wrong**2).sum(0).numpy()
            self._spreads[columns] += (network.spread(features).double() ** 2).sum(0).numpy()

    def apply(self) -> None:
        """Set the factors and log them."""
        if not self._total:
            return
        member = self._network.member.numpy()
        errors, spreads = (np.bincount(member, sums) for sums in (self._errors, self._spreads))
        positive = spreads > 0
        ratio = np.where(positive, errors / np.where(positive, spreads, 1), 1) ** 0.5
        self._network.factor.mul_(torch.from_numpy(ratio).float())
        log.info(
            "the code keeps %.1f %% of the variance of the validation pictures' responses; the "
            "spread of the draws is %.2f times the error there, and is corrected by factors of "
            "%.2f to %.2f",
            100 * (1 - self._left / self._total),
            (spreads.sum() / max(errors.sum(), 1e-300)) ** 0.5,
            ratio.min(),
            ratio.max(),
        )
