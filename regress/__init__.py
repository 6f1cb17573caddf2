"""Stage 2: fit encoding models from features to responses, per ROI, hemisphere and subject.

A model is a file in `regress/models` that defines one scikit-learn estimator. Fitted models are
saved as plain arrays with their predictions, so that stage 3 needs no model code.
"""

from regress.data.design import load_design
from regress.data.picture_splits import fold_numbers, held_out
from regress.errors import RegressError
from regress.fitting.fit_files import load_fit
from regress.linear_model import LinearModel
from regress.solvers.estimators import BandedRidgeCV, RidgeCV
from regress.solvers.forms import shared_forms

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
