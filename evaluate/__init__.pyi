from .errors import EvaluateError
from .maps.surface_files import save_surface
from .metrics._correlation import correlation
from .metrics._score import score
from .scoring.score_report import load_scores
from .submission.inspection import faults

__all__ = ["EvaluateError", "correlation", "faults", "load_scores", "save_surface", "score"]
