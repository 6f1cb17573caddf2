"""The tuning of simulated vertices, and their noise-free responses to pictures."""

from dataclasses import dataclass

import numpy as np

from challenge.layout import ROI_CLASSES
from challenge.simulator.anatomy import Cortex
from challenge.simulator.image_features import FREQUENCIES, GRID, ORIENTATIONS

REPEATS = 3
_HIDDEN = 80
_MEANING = 0.7  # share of meaning in the hidden layer; the rest is colour and texture
_HIGHEST_CEILING = 0.8


@dataclass(frozen=True)
class Stimuli:
    """The features of a set of pictures that simulated vertices respond to, in float32."""

    energy: np.ndarray  # (n_images, n_channels * GRID * GRID) Gabor energies
    hidden: np.ndarray  # (n_images, n_hidden), through which meaning and colour statistics pass

    def take(self, rows: np.ndarray) -> "Stimuli":
        """Return the features of some pictures."""
        return Stimuli(self.energy[rows], self.hidden[rows])


@dataclass(frozen=True)
class Tuning:
    """The tuning and the reliability of each vertex of a hemisphere."""

    retinotopic: np.ndarray  # (n_vertices,), the share of the retinotopic signal
    fields: np.ndarray  # (n_vertices, GRID * GRID), population receptive fields
    channels: np.ndarray  # (n_vertices, n_channels), weights of frequencies and orientations
    readout: np.ndarray  # (n_hidden, n_vertices), weights of the hidden layer
    ncsnr: (
        np.ndarray
    )  # (n_vertices,), standard deviation of the signal over that of a trial's noise


def hidden_layer(
    meaning: np.ndarray, statistics: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the standardised activations (n_images, n_hidden) of a random rectified layer.

    It gets the `meaning` of pictures, (n_images, n_latent), and their colour `statistics`.
    """
    # The shares of variance do not depend on the numbers of dimensions.
    parts = [
        standardise(part) * np.sqrt(share / part.shape[1])
        for part, share in ((meaning, _MEANING), (statistics, 1 - _MEANING))
    ]
    weights = [rng.standard_normal((part.shape[1], _HIDDEN)) for part in parts]
    drive = sum(part @ weight for part, weight in zip(parts, weights, strict=True))
    return standardise(np.maximum(drive + 0.5 * rng.standard_normal(_HIDDEN), 0))


def shared_readouts(rng: np.random.Generator) -> np.ndarray:
    """Draw weights (n_rois, n_hidden) of regions, in the order of `ROI_CLASSES`.

    Weights of regions of the same class are correlated.
    """
    rows = []
    for names in ROI_CLASSES.values():
        class_readout = rng.standard_normal(_HIDDEN)
        rows += [class_readout + rng.standard_normal(_HIDDEN) for _ in names]
    return np.array(rows)


def draw_tuning(cortex: Cortex, readouts: np.ndarray, rng: np.random.Generator) -> Tuning:
    """Draw the tuning of one hemisphere, given the shared weights (n_rois, n_hidden) of regions."""
    n, share = len(cortex.line), cortex.retinotopic
    individual = 0.7 * rng.standard_normal(readouts.shape)
    specific = rng.standard_normal((n, readouts.shape[1]))
    readout = cortex.membership() @ (readouts + individual) + specific
    sizes = (0.08 + 0.2 * (1 - share)) * rng.uniform(0.8, 1.25, n)
    # Each hemisphere sees mostly the other half of the picture.
    centres = rng.uniform(0.1, 0.9, (n, 2))
    middle = 0.6 if cortex.hemisphere == "lh" else 0.1
    centres[:, 1] = middle + (centres[:, 1] - 0.1) * 0.375
    return Tuning(
        retinotopic=share,
        fields=_fields(centres, sizes),
        channels=_channels(n, rng),
        readout=readout.T.astype(np.float32),
        ncsnr=_draw_ncsnr(n, rng),
    )


def signals(stimuli: Stimuli, tuning: Tuning, vertices: slice) -> np.ndarray:
    """Compute the noise-free responses (n_images, n_vertices), standardised over pictures."""
    weights = tuning.channels[vertices, :, None] * tuning.fields[vertices, None, :]
    drive = stimuli.energy @ weights.reshape(len(weights), -1).T  # n_images x n
    early = standardise(np.sqrt(drive))  # compressive, as summation within a receptive field is
    late = standardise(stimuli.hidden @ tuning.readout[:, vertices])
    share = tuning.retinotopic[vertices].astype(np.float32)
    return standardise(np.sqrt(share) * early + np.sqrt(1 - share) * late)


def standardise(values: np.ndarray) -> np.ndarray:
    """Standardise columns to mean 0 and standard deviation 1; constant columns become 0."""
    values = np.asarray(values, dtype=np.float32)
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = centred.std(axis=0, dtype=np.float64)
    return centred / np.where(spread > 1e-9, spread, 1.0).astype(np.float32)


def _fields(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    # Gaussians on the grid, each of sum 1.
    grid = (np.arange(GRID) + 0.5) / GRID
    rows = np.exp(-(((grid - centres[:, :1]) / sizes[:, None]) ** 2) / 2)
    columns = np.exp(-(((grid - centres[:, 1:]) / sizes[:, None]) ** 2) / 2)
    fields = (rows[:, :, None] * columns[:, None, :]).reshape(len(sizes), -1)
    return (fields / fields.sum(axis=1, keepdims=True)).astype(np.float32)


def _channels(n: int, rng: np.random.Generator) -> np.ndarray:
    # Smooth preferences for an orientation and a frequency.
    angle = rng.uniform(0, np.pi, (n, 1))
    octave = rng.uniform(np.log2(FREQUENCIES[0]), np.log2(FREQUENCIES[-1]), (n, 1))
    orientation = np.exp(1.5 * np.cos(2 * (ORIENTATIONS - angle)))
    frequency = np.exp(-((np.log2(FREQUENCIES) - octave) ** 2))
    return (frequency[:, :, None] * orientation[:, None, :]).reshape(n, -1).astype(np.float32)


def _draw_ncsnr(n: int, rng: np.random.Generator) -> np.ndarray:
    # Ratios whose ceilings for three repeats lie in 0..0.8, with a mean of 0.35.
    ceiling = _HIGHEST_CEILING * rng.beta(1.75, 2.25, n)
    ceiling[rng.choice(n, max(1, n // 100), replace=False)] = 0.0  # pure noise
    return np.sqrt(ceiling / (REPEATS * (1 - ceiling)))
