"""The regions of a simulated subject.

Vertices are ordered on a line from early visual cortex to the ends of the streams, and each region
is an interval of it. Classes overlap each other, labels within a class do not, as in the data.
"""

from dataclasses import dataclass

import numpy as np

from challenge.layout import N_FSAVERAGE, ROI_CLASSES
from challenge.simulator.surface_patch import Patch

Interval = tuple[float, float]

# Start and end of each region, as fractions of the line. mTL-faces and aTL-faces are empty here, as
# in every subject of the challenge.
_INTERVALS: dict[str, Interval] = {
    "V1v": (0.000, 0.030), "V1d": (0.030, 0.060), "V2v": (0.060, 0.090), "V2d": (0.090, 0.120),
    "V3v": (0.120, 0.150), "V3d": (0.150, 0.180), "hV4": (0.200, 0.240),
    "EBA": (0.620, 0.720), "FBA-1": (0.420, 0.450), "FBA-2": (0.450, 0.480),
    "mTL-bodies": (0.575, 0.590),
    "OFA": (0.600, 0.640), "FFA-1": (0.410, 0.440), "FFA-2": (0.440, 0.470),
    "OPA": (0.330, 0.380), "PPA": (0.500, 0.560), "RSC": (0.975, 0.990),
    "OWFA": (0.260, 0.300), "VWFA-1": (0.445, 0.465), "VWFA-2": (0.465, 0.485),
    "mfs-words": (0.485, 0.505), "mTL-words": (0.560, 0.580),
    "early": (0.000, 0.200), "midventral": (0.200, 0.270), "midlateral": (0.270, 0.330),
    "midparietal": (0.330, 0.390), "ventral": (0.390, 0.600), "lateral": (0.600, 0.800),
    "parietal": (0.800, 1.000),
}  # fmt: skip

# The probability that a subject has a region in a hemisphere; 1 for other regions.
_PREVALENCE = {"FBA-1": 0.8, "VWFA-2": 0.9, "mfs-words": 0.8, "mTL-bodies": 0.2, "mTL-words": 0.2}

# The streams end before the line does: the rest is in no stream, and most of it in no region.
_STREAMS_END = {"lh": 0.97, "rh": 0.945}

# The share of a vertex' signal that is retinotopic, along the line; the rest is semantic.
_SHARE_AT = (0.00, 0.18, 0.24, 0.33, 0.38, 0.42, 0.60, 0.66, 0.80, 0.90, 1.00)
_SHARE = (1.00, 0.95, 0.60, 0.50, 0.40, 0.10, 0.15, 0.05, 0.15, 0.40, 0.40)


@dataclass(frozen=True)
class Cortex:
    """One hemisphere of a simulated subject; `positions` and `line` are those of a `Patch`."""

    hemisphere: str
    positions: np.ndarray
    line: np.ndarray
    labels: dict[str, np.ndarray]  # the label map of each class, (n_vertices,) of int32

    @property
    def retinotopic(self) -> np.ndarray:
        """The share of each vertex' signal that is retinotopic, (n_vertices,) in 0..1."""
        return np.interp(self.line, _SHARE_AT, _SHARE)

    def membership(self) -> np.ndarray:
        """Return 1 for vertices in a region, else 0, (n_vertices, n_rois)."""
        columns = [
            self.labels[roi_class] == label
            for roi_class, names in ROI_CLASSES.items()
            for label in range(1, len(names) + 1)
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def drop_vertices(self, dropped: np.ndarray) -> "Cortex":
        """Return the cortex without some vertices, like subjects 6 and 8 of the challenge."""
        labels = {name: np.delete(values, dropped) for name, values in self.labels.items()}
        positions, line = (np.delete(values, dropped) for values in (self.positions, self.line))
        return Cortex(self.hemisphere, positions, line, labels)

    def mask(self) -> np.ndarray:
        """Return the mask of the columns on fsaverage, a sum of two masks, as in the challenge.

        It is 2 for vertices in a stream and in a region of another class; 1 for other measured
        vertices; 0 elsewhere.
        """
        in_stream = self.labels["streams"] != 0
        in_classes = [values != 0 for name, values in self.labels.items() if name != "streams"]
        in_other = np.any(in_classes, axis=0) | ~in_stream
        return self.on_fsaverage(in_stream.astype(np.int32) + in_other.astype(np.int32))

    def on_fsaverage(self, values: np.ndarray) -> np.ndarray:
        """Return values (n_vertices,) of the columns on the whole surface, (163842,), else 0."""
        surface = np.zeros(N_FSAVERAGE, dtype=values.dtype)
        surface[self.positions] = values
        return surface


def draw_cortex(hemisphere: str, patch: Patch, rng: np.random.Generator) -> Cortex:
    """Draw the regions of one subject, with random sizes, and with some regions missing."""
    n, line = len(patch.line), patch.line
    warp = rng.uniform(0.97, 1.03)
    labels = {}
    for roi_class, names in ROI_CLASSES.items():
        values = np.zeros(n, dtype=np.int32)
        for label, name in enumerate(names, start=1):
            start, stop = _INTERVALS.get(name, (0.0, 0.0))
            if rng.uniform() >= _PREVALENCE.get(name, 1.0):
                continue
            if roi_class == "streams":
                stop = min(stop, _STREAMS_END[hemisphere])
            values[(line >= start**warp) & (line < stop**warp)] = label
        labels[roi_class] = values
    return Cortex(hemisphere, patch.positions, line, labels)
