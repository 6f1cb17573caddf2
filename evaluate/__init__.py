"""Stage 3: fits to scores, a table, a picture and a submission.

Reads what `regress` left in the cache and the challenge directory, never a model: predictions are
plain arrays, so this stage runs on a machine without torch. `python -m evaluate scores` writes
scores.csv, `submission` the zip that the challenge takes; `check` looks through anyone's zip, and
`score` scores it; `ceilings` makes noise ceilings where there are none.
"""

from evaluate.commands.check import faults
from evaluate.errors import EvaluateError
from evaluate.metrics._correlation import correlation
from evaluate.scoring.vertex_scores import Tally, pool

__all__ = ["EvaluateError", "Tally", "correlation", "faults", "pool"]
