"""Stage 3: score fits, tabulate and draw the scores, and write a submission.

Reads the predictions that `regress` wrote to the cache, and the challenge directory. Models are not
loaded, so this stage runs on a machine without torch. `python -m evaluate scores` writes
scores.csv, `submission` the zip that the challenge takes; `check` checks any submission, `score`
scores it, and `ceilings` computes noise ceilings for data that have none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluate.errors import EvaluateError
    from evaluate.metrics._correlation import correlation
    from evaluate.scoring.vertex_scores import Tally, pool
    from evaluate.submission.inspection import faults

__all__ = ["EvaluateError", "Tally", "correlation", "faults", "pool"]

# Imported when they are used, so that the command line answers at once.
_MODULES = {
    "EvaluateError": "errors",
    "Tally": "scoring.vertex_scores",
    "correlation": "metrics._correlation",
    "faults": "submission.inspection",
    "pool": "scoring.vertex_scores",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
