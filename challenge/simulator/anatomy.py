"""Where a simulated subject's regions lie, and how their vertices differ.

Vertices stand in a line from early visual cortex to the ends of the streams, and each region is an
interval of it. Classes overlap one another, and labels within a class do not, as in the data.
"""

from dataclasses import dataclass

import numpy as np

from challenge.layout import N_FSAVERAGE, ROI_CLASSES
from challenge.simulator.surface_patch import Patch

Interval = tuple[float, float]

# Beginning and end of each region, as fractions of the line. mTL-faces and aTL-faces are empty in
# every subject of the challenge, and so here.
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

# How often a subject has a region in a hemisphere at all; where nothing is said, always.
_PRESENT = {"FBA-1": 0.8, "VWFA-2": 0.9, "mfs-words": 0.8, "mTL-bodies": 0.2, "mTL-words": 0.2}

# The streams end before the line does: the rest is in none, and most of it in no region at all.
_STREAMS_END = {"lh": 0.97, "rh": 0.945}

# How much of a vertex' signal is retinotopic, along the line; the rest is semantic.
_SHARE_AT = (0.00, 0.18, 0.24, 0.33, 0.38, 0.42, 0.60, 0.66, 0.80, 0.90, 1.00)
_SHARE = (1.00, 0.95, 0.60, 0.50, 0.40, 0.10, 0.15, 0.05, 0.15, 0.40, 0.40)


@dataclass(frozen=True)
class Cortex:
    """One hemisphere of a simulated subject.

    Attributes
    ----------
    hemisphere : str
        "lh" or "rh".
    positions : array (n_vertices,) of int64
        The fsaverage vertex of each column, ascending.
    line : array (n_vertices,) of float64
        The place of each column on the line from early to late, in 0..1.
    labels : dict of str to array (n_vertices,) of int32
        The label map of each class.
    """

    hemisphere: str
    positions: np.ndarray
    line: np.ndarray
    labels: dict[str, np.ndarray]

    @property
    def retinotopic(self) -> np.ndarray:
        """How much of each vertex' signal is retinotopic, (n_vertices,) in 0..1."""
        return np.interp(self.line, _SHARE_AT, _SHARE)

    def members(self) -> np.ndarray:
        """Say which regions each vertex is in.

        Returns
        -------
        array (n_vertices, n_rois) of float32
            1 where the vertex is in the region; regions in the order of `ROI_CLASSES`.
        """
        columns = [
            self.labels[roi_class] == label
            for roi_class, names in ROI_CLASSES.items()
            for label in range(1, len(names) + 1)
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def without(self, dropped: np.ndarray) -> "Cortex":
        """Leave out vertices, as those of subjects 6 and 8 that were missing in a trial."""
        labels = {name: np.delete(values, dropped) for name, values in self.labels.items()}
        return Cortex(
            self.hemisphere,
            np.delete(self.positions, dropped),
            np.delete(self.line, dropped),
            labels,
        )

    def mask(self) -> np.ndarray:
        """Mark the columns on fsaverage by adding two masks, as the challenge did.

        Returns
        -------
        array (163842,) of int32
            1 where a vertex is in a stream, or in no stream but measured; 2 where it is in a
            stream and in a region of another class; 0 elsewhere.
        """
        in_stream = self.labels["streams"] != 0
        others = [values != 0 for name, values in self.labels.items() if name != "streams"]
        elsewhere = np.any(others, axis=0) | ~in_stream
        return self.on_fsaverage(in_stream.astype(np.int32) + elsewhere.astype(np.int32))

    def on_fsaverage(self, values: np.ndarray) -> np.ndarray:
        """Put values of the columns on the whole surface.

        Parameters
        ----------
        values : array (n_vertices,)
            One value per column.

        Returns
        -------
        array (163842,)
            The values at the columns' places, 0 elsewhere; of the same dtype.
        """
        surface = np.zeros(N_FSAVERAGE, dtype=values.dtype)
        surface[self.positions] = values
        return surface


def draw_cortex(hemisphere: str, patch: Patch, rng: np.random.Generator) -> Cortex:
    """Lay out one subject's regions: of slightly different sizes in each, and some missing."""
    n, line = len(patch.line), patch.line
    warp = rng.uniform(0.97, 1.03)
    labels = {}
    for roi_class, names in ROI_CLASSES.items():
        values = np.zeros(n, dtype=np.int32)
        for label, name in enumerate(names, start=1):
            start, stop = _INTERVALS.get(name, (0.0, 0.0))
            if rng.uniform() >= _PRESENT.get(name, 1.0):
                continue
            if roi_class == "streams":
                stop = min(stop, _STREAMS_END[hemisphere])
            values[(line >= start**warp) & (line < stop**warp)] = label
        labels[roi_class] = values
    return Cortex(hemisphere, patch.positions, line, labels)
