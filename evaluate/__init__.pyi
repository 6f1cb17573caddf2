from .commands.check import faults
from .errors import EvaluateError
from .metrics._correlation import correlation

__all__ = ["EvaluateError", "correlation", "faults"]
