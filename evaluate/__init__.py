"""Stage 3: score fits, tabulate and draw the scores, and write a submission.

Reads the predictions that `regress` wrote to the cache, and the challenge directory. Models are not
loaded, so this stage runs on a machine without torch. `python -m evaluate scores` writes
scores.csv, `submission` the zip that the challenge takes; `check` checks any submission, `score`
scores it, and `ceilings` computes noise ceilings for data that have none.
"""

from evaluate.commands.check import faults
from evaluate.errors import EvaluateError
from evaluate.metrics._correlation import correlation

__all__ = ["EvaluateError", "correlation", "faults"]
