"""The data of a fit: features, responses, folds, vertex columns and positions."""
