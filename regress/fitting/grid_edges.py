"""Warn when the grid of penalties was too narrow."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from base import say
from regress.encoding_model import Encoder
from regress.fitting.settings import Job


def warn_of_edges(job: Job, label: str, models: Sequence[Encoder]) -> None:
    """Warn when many predictable vertices chose a penalty at an end of the grid."""
    grid = job.estimator.get_params().get("alphas")
    if grid is None:
        return
    attributes = _join_attributes(models)
    alphas, scores = attributes.get("best_alphas_"), attributes.get("cv_scores_")
    if alphas is None and "deltas_" in attributes:
        alphas = 1 / np.exp(attributes["deltas_"].astype(np.float64)).sum(0)
    if alphas is None or scores is None or not (scores > 0).any():
        return
    alphas = alphas[..., scores > 0]
    for edge, side in ((np.min(grid), "lowest"), (np.max(grid), "highest")):
        share = float(np.isclose(alphas, edge, rtol=1e-3).mean())
        if share > 0.1:
            say(
                f"warning: {label}: {share:.0%} of the predictable vertices chose the {side} alpha "
                f"({edge:g}): widen the grid, for example --params.alphas '[…]'"
            )


def _join_attributes(models: Sequence[Encoder]) -> Mapping[str, NDArray]:
    attributes = {}
    for name in ("best_alphas_", "deltas_", "cv_scores_"):
        if hasattr(models[0], name):
            values = [getattr(model, name) for model in models]
            attributes[name] = np.concatenate(values, axis=-1)
    return attributes
