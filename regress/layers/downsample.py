"""Downsampled pictures, as input of critics."""

from torch import Tensor, nn
from torch.nn import functional


class DownsampledPicture(nn.Module):
    """Average of a picture over a small grid, so that critics need no weight for each pixel."""

    def __init__(self, channels: int, side: int, max_side: int = 8) -> None:
        super().__init__()
        self._shape, self._grid = (channels, side, side), min(side, max_side)
        self.columns = channels * self._grid**2

    def forward(self, features: Tensor) -> Tensor:
        """Downsample pictures to the means of the cells of the grid, (n_images, columns)."""
        pictures = features.reshape(-1, *self._shape)
        return functional.adaptive_avg_pool2d(pictures, self._grid).flatten(1)
