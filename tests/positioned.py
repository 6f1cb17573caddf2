"""`positional` for tests that know of no places: vertices stand side by side on a line."""

from typing import Any

import numpy as np

from regress.models.positional import Model


class OnALine(Model):
    """Vertices without positions are a centimetre apart."""

    def _given(self, n_vertices: int) -> Any:
        return (
            10 * np.arange(n_vertices)[:, None] * [1, 0]
            if self.positions is None
            else self.positions
        )
