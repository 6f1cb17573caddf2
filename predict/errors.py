"""Errors of prediction that a user can correct."""

from base import RoiridgeError


class PredictError(RoiridgeError):
    """Pictures, fits or packs that nothing can be predicted from, with the way to correct them."""
