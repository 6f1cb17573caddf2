"""What `test_regress_diffusion` shares with other tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUICK: dict[str, Any] = {"latent": 8, "width": 32, "blocks": 1, "lr": 3e-3, "epochs": 15}


Arrays = tuple[NDArray[Any], NDArray[Any]]


def _data(n: int = 400, seed: int = 0, noise: float = 1.0) -> Arrays:
    """Give 24 vertices that read 6 projections of 12 columns; they share some of their noise."""
    truth, rng = np.random.default_rng(9), np.random.default_rng(seed)
    read = truth.standard_normal((12, 6)) / 3, truth.standard_normal((6, 24))
    shared = truth.standard_normal((3, 24)) * truth.uniform(0.3, 2, 24)
    X = rng.standard_normal((n, 12))
    Y = X @ read[0] @ read[1] + 1.5
    Y += noise * (rng.standard_normal((n, 3)) @ shared / 2 + rng.standard_normal((n, 24)))
    return X.astype(np.float32), Y.astype(np.float32)
