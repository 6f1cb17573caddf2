from .data.design import load_design
from .data.picture_splits import fold_numbers, held_out
from .errors import RegressError
from .fitting.fit_files import load_fit
from .linear_model import LinearModel
from .solvers.estimators import BandedRidgeCV, RidgeCV
from .solvers.forms import shared_forms

__all__ = [
    "BandedRidgeCV",
    "LinearModel",
    "RegressError",
    "RidgeCV",
    "fold_numbers",
    "held_out",
    "load_design",
    "load_fit",
    "shared_forms",
]
