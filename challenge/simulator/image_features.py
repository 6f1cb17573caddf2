"""Low-level features of a picture for the simulated brain: Gabor energy and colour statistics."""

import numpy as np
from PIL import Image

SIDE = 64  # width and height of the picture to filter, pixels
GRID = 16  # width and height of the grid of average energies
FREQUENCIES = np.array([4.0, 8.0, 16.0])  # cycles per picture
ORIENTATIONS = np.arange(4) * np.pi / 4
N_CHANNELS = len(FREQUENCIES) * len(ORIENTATIONS)

# red-green, blue-yellow and luminance
_OPPONENT = np.array([[1, -1, 0], [-0.5, -0.5, 1], [1 / 3, 1 / 3, 1 / 3]], dtype=np.float32)


def describe_picture(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features of a picture that the simulated regions respond to.

    The first are the energies (N_CHANNELS, GRID, GRID) of complex cells by frequency and
    orientation, normalised by the total energy in the neighbourhood; the second, (n_statistics,),
    means and standard deviations of colour in the whole picture, means in its quarters, and the
    logarithm of each channel's energy.
    """
    small = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    rgb = np.asarray(small, dtype=np.float32) / 255
    opponent = rgb @ _OPPONENT.T  # (SIDE, SIDE, 3)
    energy = _gabor_energy(opponent[..., 2])
    quarters = opponent.reshape(2, SIDE // 2, 2, SIDE // 2, 3).mean(axis=(1, 3))
    statistics = np.concatenate([
        opponent.mean(axis=(0, 1)),
        opponent.std(axis=(0, 1)),
        quarters.ravel(),
        np.log(energy.mean(axis=(1, 2)) + 1e-6),
    ])  # fmt: skip
    local = energy.mean(axis=0)
    return energy / (local + local.mean() + 1e-6), statistics.astype(np.float32)


def _filters() -> np.ndarray:
    # A one-sided Gaussian in the frequency domain is a quadrature pair of Gabors.
    f_row, f_column = np.meshgrid(*[np.fft.fftfreq(SIDE, 1 / SIDE)] * 2, indexing="ij")
    frequency = np.repeat(FREQUENCIES, len(ORIENTATIONS))[:, None, None]
    angle = np.tile(ORIENTATIONS, len(FREQUENCIES))[:, None, None]
    squared_distance = (f_column - frequency * np.cos(angle)) ** 2 + (
        f_row - frequency * np.sin(angle)
    ) ** 2
    return np.exp(-squared_distance / (2 * (0.4 * frequency) ** 2)).astype(np.float32)


_FILTERS = _filters()


def _gabor_energy(luminance: np.ndarray) -> np.ndarray:
    # scipy would delay --help.
    from scipy import fft

    # (SIDE, SIDE) to (N_CHANNELS, GRID, GRID): square and add each quadrature pair.
    spectrum = fft.fft2(luminance - luminance.mean())
    pair = fft.ifft2(spectrum * _FILTERS, axes=(-2, -1))
    energy = pair.real**2 + pair.imag**2
    block = SIDE // GRID
    return energy.reshape(N_CHANNELS, GRID, block, GRID, block).mean(axis=(2, 4))
