"""`python -m evaluate scores | submission | check`."""

import sys

from base.command import Command, run
from evaluate.ceilings import ceilings
from evaluate.check import check
from evaluate.scores import scores
from evaluate.submission import submission

EXAMPLES = (
    "python -m evaluate scores --data data --out derivatives",
    "python -m evaluate scores --split heldout --roi_classes streams",
    "python -m evaluate submission --fits ridge banded_ridge",
    "python -m evaluate check derivatives/submission.zip --data data",
)

if __name__ == "__main__":
    verbs: dict[str, Command] = {
        "scores": scores,
        "submission": submission,
        "check": check,
        "ceilings": ceilings,
    }
    sys.exit(run(verbs, "evaluate", EXAMPLES))
