"""What is fitted on what: features, responses, folds, vertex columns and positions."""
