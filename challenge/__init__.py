"""The files of the Algonauts 2023 challenge: readers, checks, and a simulator.

A `Subject` reads the files of its folder one by one, and raises an error that names the file and
the fix where a file is invalid. `challenge.simulator` writes the same layout with a known ground
truth. Nothing here depends on networks, models or scores.
"""

from challenge.ceilings.noise_ceiling import SMALLEST_CEILING, has_ceiling, noise_ceiling
from challenge.constant_columns import constant_columns
from challenge.errors import DataError
from challenge.find_subjects import SubjectChoice, chooses_all, find_subjects
from challenge.identity import pictures_digest, response_digests, vertices_digest
from challenge.layout import HEMISPHERES, ROI_CLASSES
from challenge.leakage import test_pictures_in_training
from challenge.pictures.decoding import load_rgb
from challenge.rois.regions import Roi
from challenge.subject import Subject

__all__ = [
    "HEMISPHERES",
    "ROI_CLASSES",
    "SMALLEST_CEILING",
    "DataError",
    "Roi",
    "Subject",
    "SubjectChoice",
    "chooses_all",
    "constant_columns",
    "find_subjects",
    "has_ceiling",
    "load_rgb",
    "noise_ceiling",
    "pictures_digest",
    "response_digests",
    "test_pictures_in_training",
    "vertices_digest",
]
