from .ceilings.noise_ceiling import SMALLEST_CEILING, has_ceiling, noise_ceiling
from .dataset import SubjectChoice, chooses_all, find_subjects
from .errors import DataError
from .identity import pictures_digest, response_digests, vertices_digest
from .layout import HEMISPHERES, ROI_CLASSES
from .leakage import test_pictures_in_training
from .pictures.decoding import load_rgb
from .rois.regions import Roi
from .rounding import constant_columns
from .subject import Subject

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
