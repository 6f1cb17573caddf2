"""One file per verb of `python -m evaluate`."""
