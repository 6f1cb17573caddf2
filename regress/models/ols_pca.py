"""The organisers' tutorial baseline: the first principal components, then least squares."""

import numpy as np
from sklearn.decomposition import PCA

from regress.backend import Floats
from regress.linear_model import LinearModel


class OlsPca(LinearModel):
    """Ordinary least squares on principal components of the training pictures alone.

    Parameters
    ----------
    n_components : int
        Number of components; fewer where there are fewer pictures or columns.
    random_state : int
        Seed of the randomised decomposition.

    References
    ----------
    Gifford et al. (2023). The Algonauts Project 2023 Challenge. arXiv:2301.03198, and the
    development-kit tutorial that goes with it.
    """

    standardise = False

    def __init__(self, n_components: int = 100, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        # Centred features span one dimension fewer than there are pictures.
        n_components = max(1, min(self.n_components, len(X) - 1, X.shape[1]))
        pca = PCA(n_components, random_state=self.random_state).fit(X)
        solved = np.linalg.lstsq(pca.transform(X), Y, rcond=None)[0]
        return np.asarray(pca.components_.T @ solved, X.dtype)
