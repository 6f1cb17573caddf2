"""Errors of the evaluate stage."""

from base import RoiridgeError


class EvaluateError(RoiridgeError):
    """Fits are missing, stale or do not belong together, or a submission is not valid."""


def check_seed(seed: int) -> None:
    """Check that a seed can seed a generator."""
    if seed < 0:
        raise EvaluateError(f"--seed {seed}: expected 0 or more")
