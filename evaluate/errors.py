"""What can be wrong when fits are judged."""

from base import RoiridgeError


class EvaluateError(RoiridgeError):
    """Fits are missing, stale or do not belong together, or a submission is not valid."""
