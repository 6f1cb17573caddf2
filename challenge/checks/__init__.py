"""Checks of a dataset: every fault at once."""
