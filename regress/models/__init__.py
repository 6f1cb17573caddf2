"""One file a model: its `Model` is a scikit-learn estimator, listed and tested by existing."""
