"""The Algonauts 2023 challenge's files: what they hold and mean, and a simulator of them.

A `Subject` reads its folder piece by piece and refuses what is not as it should be, in words that
name the file and the fix. `simulate` writes the same layout with a known truth. Nothing here knows
of networks, models or scores.
"""

from challenge.ceiling import noise_ceiling
from challenge.errors import DataError
from challenge.finding import find_subjects
from challenge.layout import HEMISPHERES, ROI_CLASSES
from challenge.leakage import test_pictures_in_training
from challenge.pictures import load_rgb
from challenge.rois import Roi
from challenge.simulator import simulate
from challenge.subject import Subject

__all__ = [
    "HEMISPHERES",
    "ROI_CLASSES",
    "DataError",
    "Roi",
    "Subject",
    "find_subjects",
    "load_rgb",
    "noise_ceiling",
    "simulate",
    "test_pictures_in_training",
]
