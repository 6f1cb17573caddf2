"""Predict the brain's response to pictures: what a scientist calls from Python.

The command `roiridge` does the same from a terminal. Names are imported when they are first used,
so that `import roiridge` loads no torch and no scikit-learn.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from base import RoiridgeError
    from cache import FeatureStore
    from challenge import Subject, find_subjects, noise_ceiling
    from challenge.ceilings.reliability import nsd_ncsnr
    from challenge.ceilings.reliability import split_half as split_half_reliability
    from challenge.simulator import simulate
    from evaluate import correlation, load_scores, save_surface, score
    from evaluate import faults as submission_faults
    from evaluate.commands.scores import scores as score_fits
    from extract.__main__ import extract as compute_features
    from predict import Encoder, load_encoder
    from predict.commands.images import images as predict_images
    from regress import BandedRidgeCV, RidgeCV, load_design, load_fit
    from regress.commands.fit import fit

__version__ = "0.1.0"
__all__ = [
    "BandedRidgeCV",
    "Encoder",
    "FeatureStore",
    "RidgeCV",
    "RoiridgeError",
    "Subject",
    "compute_features",
    "correlation",
    "find_subjects",
    "fit",
    "load_design",
    "load_encoder",
    "load_fit",
    "load_scores",
    "noise_ceiling",
    "nsd_ncsnr",
    "predict_images",
    "save_surface",
    "score",
    "score_fits",
    "simulate",
    "split_half_reliability",
    "submission_faults",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, source_name = _sources()[name]
    value = globals()[name] = getattr(import_module(module), source_name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


@cache
def _sources() -> dict[str, tuple[str, str]]:
    """Return the module of each name and its name there, from the imports for type checkers."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in imports
        for alias in node.names
    }
