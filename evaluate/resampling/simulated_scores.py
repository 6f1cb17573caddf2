"""Simulated responses and predictions with known true scores."""

from dataclasses import dataclass

import numpy as np

from evaluate.arrays import Array, Floats

# Shares of variance that vertices have in common: of their responses, and of prediction errors.
SHARED_RESPONSE, SHARED_ERROR = 0.4, 0.5


@dataclass(frozen=True)
class Roi:
    """True correlations and noise ceilings of a simulated ROI."""

    # (n_vertices,): correlation between responses and predictions over infinitely many pictures.
    rho: Floats
    ceiling: Floats  # (n_vertices,): noise ceilings, not below rho^2

    @property
    def explained(self) -> float:
        """The mean of rho^2 / ceiling, in percent."""
        return float(100 * np.mean(self.rho**2 / self.ceiling))

    def expected_score(
        self, n_pictures: int, rng: np.random.Generator, n: int = 2_000_000
    ) -> float:
        """Compute the expected official score, in percent, on a sample of pictures.

        r is drawn from its exact distribution for normal variables, `n` times over all vertices.

        References
        ----------
        Ruben (1966), "Some new results on the distribution of the sample correlation
        coefficient", Journal of the Royal Statistical Society B 28 (3): r / sqrt(1 - r^2) is
        distributed as (rho / sqrt(1 - rho^2) chi_(n-1) + z) / chi_(n-2).
        """
        n //= len(self.rho)
        slope = self.rho / np.sqrt(1 - self.rho**2)
        total = 0.0
        for a, ceiling in zip(slope, self.ceiling, strict=True):
            above = a * np.sqrt(rng.chisquare(n_pictures - 1, n)) + rng.standard_normal(n)
            ratio = np.maximum(above, 0) ** 2 / rng.chisquare(n_pictures - 2, n)
            total += np.minimum(ratio / (1 + ratio) / ceiling, 1).mean()
        return 100 * total / len(self.rho)

    def responses(self, n_pictures: int, rng: np.random.Generator) -> Floats:
        """Draw responses of variance 1, correlated between vertices: (n_pictures, n_vertices)."""
        return _correlated(n_pictures, len(self.rho), SHARED_RESPONSE, rng)

    def predictions(
        self, responses: Array, rng: np.random.Generator, shared: float = SHARED_ERROR
    ) -> Floats:
        """Draw predictions that correlate with responses by `rho`: (n_pictures, n_vertices).

        `shared` is the share of the error variance that the vertices have in common.
        """
        error = _correlated(len(responses), len(self.rho), shared, rng)
        return self.rho * responses + np.sqrt(1 - self.rho**2) * error


def simulate_roi(rho: float | str, n_vertices: int, rng: np.random.Generator) -> Roi:
    """Simulate a ROI.

    `rho`: the correlation at all vertices; "mixed" is 0 at a quarter of them and 0 to 0.8 at the
    others, "sparse" 0 at four of five and 0.6 at the others. `rng`: draws ceilings of 0.4 to 0.8;
    for "mixed" of 0.05 to 0.8, but never below rho^2.
    """
    if rho == "mixed":
        rhos = rng.uniform(0, 0.8, n_vertices)
        rhos[: n_vertices // 4] = 0
        return Roi(rhos, np.maximum(rng.uniform(0.05, 0.8, n_vertices), rhos**2))
    rhos = np.full(n_vertices, 0.6 if rho == "sparse" else float(rho))
    if rho == "sparse":
        rhos[: 4 * n_vertices // 5] = 0
    return Roi(rhos, rng.uniform(0.4, 0.8, n_vertices))


def _correlated(
    n_pictures: int, n_vertices: int, shared: float, rng: np.random.Generator
) -> Floats:
    """Draw standard normal columns with pairwise correlation `shared`."""
    common = rng.standard_normal((n_pictures, 1))
    individual = rng.standard_normal((n_pictures, n_vertices))
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * individual
