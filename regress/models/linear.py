"""Linear layer on any feature spaces, trained by gradient descent."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from regress.layers.network import Axes
from regress.training import Network, TrainedModel


class Linear(TrainedModel):
    """Linear layer with any loss; with `mse` alone, `ridge` is exact and faster.

    The parameters are those of `Training`.

    Attributes
    ----------
    coef_ : array (n_features, n_vertices)
        For features that are not standardised. Without the last axis where y was a vector.
    intercept_ : array (n_vertices,)
        A number where y was a vector.

    References
    ----------
    The best model of "Exploration and comparison of deep learning architectures to predict brain
    response to realistic pictures" (Riccardo Chimisso et al., 2023, arXiv:2309.09983): one linear
    layer on CLIP's embedding for each ROI, hemisphere and subject.
    """

    @override
    def make_network(self, n_features: int, member: Tensor) -> Network:
        return LinearNetwork(n_features, member, self.dropout)

    @property
    def coef_(self) -> NDArray[np.float32]:
        """Coefficients for features that are not standardised."""
        weight = np.asarray(self._weight() / self.scale_[:, None], np.float32)
        return weight[:, 0] if self._vector else weight

    @property
    def intercept_(self) -> NDArray[np.float32]:
        """Prediction where all features are 0."""
        offset: NDArray[np.float32] = self.network_.offset.detach().numpy()
        at_zero = (self.centre_ / self.scale_) @ self._weight()
        intercept = np.asarray(offset - at_zero, np.float32)
        return intercept[0] if self._vector else intercept

    def _weight(self) -> NDArray[np.float32]:
        weight: NDArray[np.float32] = self.network_.get_parameter("weight").detach().numpy()
        return weight


class LinearNetwork(Network):
    """Weighted sum of the features for each vertex; the weights are 0 at first."""

    axes: ClassVar[Axes] = {**Network.axes, "weight": ("vertex", 1)}

    def __init__(self, n_features: int, member: Tensor, dropout: float) -> None:
        super().__init__(member)
        self.weight = nn.Parameter(torch.zeros(n_features, len(member)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses (n_images, n_vertices) from standardised features."""
        return torch.addmm(self.offset, self.dropout(features), self.weight)
