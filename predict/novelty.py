"""Distance of pictures from the training pictures in feature space.

A fitted encoder is trusted where it was fitted. The distance is Mahalanobis' under probabilistic
principal components: the leading directions of the training features with their variances, and
one variance for all others, so that it exists with fewer pictures than columns. Distances of
several spaces are divided by their median over the held-out pictures, and averaged.

References
----------
Tipping, Bishop (1999). Probabilistic principal component analysis. Journal of the Royal Statistical
Society B 61, equation 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
# Components of each space; fewer for few pictures, so that each has several pictures.
MAX_COMPONENTS = 256
PICTURES_PER_COMPONENT = 4
# Numbers of the training features up to which they are decomposed in float64.
MAX_DOUBLES = 1 << 26
# Percentile of the held-out pictures' distances above which a picture is called unlike them.
UNLIKE = 99.0
NAMES = ("mean", "components", "scales", "median")


@dataclass(frozen=True)
class SpaceDistance:
    """Distance from the training pictures in one space."""

    mean: Floats  # (n_columns,)
    components: Floats  # (n_components, n_columns)
    scales: Floats  # (n_components + 1,): standard deviations, the last of all other directions
    median: Floats  # (): median distance of the held-out pictures

    @classmethod
    def fit(cls, training: Floats, heldout: Floats) -> "SpaceDistance":
        """Estimate the distribution of training rows (n_images, n_columns)."""
        # scikit-learn takes a second to import, and only this needs it.
        from sklearn.decomposition import PCA

        n_images, n_columns = training.shape
        limit = min(MAX_COMPONENTS, n_columns - 1, n_images // PICTURES_PER_COMPONENT)
        # What lies outside the components is a difference of large numbers, for float64.
        dtype = np.float64 if training.size <= MAX_DOUBLES else np.float32
        pca = PCA(max(1, limit), random_state=0).fit(training.astype(dtype, copy=False))
        noise = max(float(pca.noise_variance_), float(np.finfo(np.float32).tiny))
        scales = np.sqrt(np.append(pca.explained_variance_, noise).clip(noise))
        unscaled = cls(pca.mean_, pca.components_, scales, np.ones(()))
        median = max(float(np.median(unscaled.distances(heldout))), 1e-12)
        return cls(pca.mean_, pca.components_, scales, np.full((), median))

    def distances(self, rows: Floats) -> Floats:
        """Return the distance of each row (n_images, n_columns), 1 for the median held-out one."""
        centred = rows.astype(self.mean.dtype) - self.mean
        scores = centred @ self.components.T
        rest = np.maximum((centred**2).sum(1) - (scores**2).sum(1), 0)
        squares = ((scores / self.scales[:-1]) ** 2).sum(1) + rest / self.scales[-1] ** 2
        return np.asarray(np.sqrt(squares) / self.median)


@dataclass(frozen=True)
class Novelty:
    """Distances in all spaces of an encoder, beside those of the held-out pictures."""

    spaces: dict[str, SpaceDistance]
    heldout: Floats  # (n_heldout,): sorted distances of the held-out pictures

    @classmethod
    def fit(cls, training: Mapping[str, Floats], heldout: Mapping[str, Floats]) -> "Novelty":
        """Estimate the distribution of training rows of each space."""
        spaces = {n: SpaceDistance.fit(rows, heldout[n]) for n, rows in training.items()}
        return cls(spaces, np.sort(cls(spaces, np.empty(0)).distances(heldout)))

    def distances(self, rows: Mapping[str, Floats]) -> Floats:
        """Return the distance (n_images,) of pictures by their rows in each space."""
        parts = [space.distances(rows[name]) for name, space in self.spaces.items()]
        return np.asarray(np.mean(parts, axis=0))

    def percentiles(self, distances: Floats) -> Floats:
        """Return the share of held-out pictures that are nearer, in percent."""
        n_nearer = np.searchsorted(self.heldout, distances, side="left")
        return np.asarray(100 * n_nearer / len(self.heldout), np.float32)

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays to save, by name."""
        arrays = {
            f"novelty.{number}.{name}": getattr(space, name)
            for number, space in enumerate(self.spaces.values())
            for name in NAMES
        }
        return {**arrays, "novelty.heldout": self.heldout}

    @classmethod
    def restore(cls, arrays: Mapping[str, Floats], spaces: Sequence[str]) -> "Novelty":
        """Restore from the arrays that were saved for some spaces, in their order."""
        distances = {
            space: SpaceDistance(*(arrays[f"novelty.{number}.{name}"] for name in NAMES))
            for number, space in enumerate(spaces)
        }
        return cls(distances, arrays["novelty.heldout"])
