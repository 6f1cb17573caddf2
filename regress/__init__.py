"""Stage 2: fit encoding models from features to responses, per ROI, hemisphere and subject.

A model is a file in `regress/models` that defines one scikit-learn estimator. Fitted models are
saved as plain arrays with their predictions, so that stage 3 needs no model code.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
