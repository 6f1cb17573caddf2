from .errors import EvaluateError
from .metrics._correlation import correlation
from .submission.inspection import faults

__all__ = ["EvaluateError", "correlation", "faults"]
