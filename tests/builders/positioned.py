"""`positional` for tests that know of no places, and for tests that are killed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from regress.models.positional import Positional


class OnALine(Positional):
    """Vertices without positions are a centimetre apart."""

    def make_template(self, responses: Any, member: NDArray[np.int64]) -> dict[str, NDArray]:
        if self.positions is not None:
            return super().make_template(responses, member)
        line = 10 * np.arange(len(member))[:, None] * [1, 0]
        return clone(self).set_params(positions=line).make_template(responses, member)


def fit_and_refit(folder: Path | str | None) -> dict[str, NDArray]:
    """Train three groups, one of them on noise; with a folder, checkpoints are kept there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 15)).astype(np.float32)
    places = rng.uniform(0, 20, (36, 3))
    Y = X @ np.sin(rng.standard_normal((15, 3)) @ places.T / 4) + 3 * rng.standard_normal((200, 36))
    Y[:, 12:24] = rng.standard_normal((200, 12))
    own: dict[str, Any] = {"lr": 0.01, "epochs": 12, "patience": 3, "batch": 64, "dropout": 0.2}
    own |= {"scope": np.repeat(["a", "noise", "b"], 12), "width": 16, "blocks": 1}
    checkpoint = None if folder is None else Path(folder) / "kept.h5"
    model = Positional(positions=places, checkpoint=checkpoint, **own)
    return model.fit(X, Y).refit(X, Y).state()
