"""What critics see of a picture that is given as pixels: its large parts."""

from torch import Tensor, nn
from torch.nn import functional


class DownsampledPicture(nn.Module):
    """A picture of a few places a side; critics would else have a weight for each pixel.

    Parameters
    ----------
    channels, side : int
        Of the picture that the columns are.
    most : int
        Places a side, at most.
    """

    def __init__(self, channels: int, side: int, max_side: int = 8) -> None:
        super().__init__()
        self._shape, self._grid = (channels, side, side), min(side, max_side)

    @property
    def columns(self) -> int:
        """How many numbers it gives."""
        return self._shape[0] * self._grid**2

    def forward(self, features: Tensor) -> Tensor:
        """Look.

        Parameters
        ----------
        features : Tensor (n_images, channels * side * side)
            Pictures.

        Returns
        -------
        Tensor (n_images, columns)
            The means of their parts.
        """
        pictures = features.reshape(-1, *self._shape)
        return functional.adaptive_avg_pool2d(pictures, self._grid).flatten(1)
