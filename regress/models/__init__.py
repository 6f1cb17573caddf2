"""One file a model: the estimator class that it defines is listed and tested by existing."""

import sys

from sklearn.base import BaseEstimator

from base import load_plugin
from regress.errors import RegressError


def load_model_class(name: str) -> type[BaseEstimator]:
    """Load the estimator class of a model.

    Parameters
    ----------
    name : str
        The name of its file in this folder, for example "ridge".

    Returns
    -------
    type
        The public scikit-learn estimator that the file itself defines, an `Encoder`.

    Raises
    ------
    RegressError
        If the file defines no such class, or several.
    RoiridgeError
        If there is no such file.
    """
    module = load_plugin(sys.modules[__name__], name, "model")
    classes = {
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseEstimator)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    }
    if len(classes) != 1:
        names = ", ".join(sorted(model.__name__ for model in classes)) or "none"
        raise RegressError(
            f"{module.__file__}: found {names}, expected one public class that is a model, such as "
            "a subclass of LinearModel or TrainedModel; begin the names of helpers with _"
        )
    return classes.pop()
