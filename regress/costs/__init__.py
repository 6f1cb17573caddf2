"""Forecasts of the cost of fits and ablations, for `python -m plan` and for jobs."""
