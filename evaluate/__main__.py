"""`python -m evaluate scores | compare | submission | check | score | report | …`."""

import json
import sys
from itertools import takewhile

from base.command_line.parser import Verbs, run

EXAMPLES = (
    "python -m evaluate scores --data data --out derivatives",
    "python -m evaluate scores --split heldout --roi_classes streams",
    "python -m evaluate submission --fits ridge banded_ridge",
    "python -m evaluate check derivatives/submission.zip data",
    "python -m evaluate score derivatives/submission.zip --data data --json marks.json",
    "python -m evaluate compare ridge-8d banded_ridge-af ensemble",
    "python -m evaluate study encoders --subject 01",
    "python -m evaluate report --executor slurm --cluster cluster.yaml",
    "python -m evaluate ceilings --ncsnr 'nsd/subj{subject}/{hemisphere}.ncsnr.mgh' --repeats 3",
)


def _expand_arguments(arguments: list[str]) -> list[str]:
    """Rewrite `check ZIP DATA` as `check ZIP --data DATA`, and the runs of `compare` as a list."""
    if arguments[:1] == ["compare"]:
        runs = list(takewhile(lambda argument: not argument.startswith("-"), arguments[1:]))
        runs_argument = runs if runs[:1] and runs[0].startswith("[") else [json.dumps(runs)]
        return ["compare", *runs_argument, *arguments[1 + len(runs) :]]
    if arguments[:1] == ["check"] and len(arguments) > 2 and not arguments[2].startswith("-"):
        return [*arguments[:2], "--data", *arguments[2:]]
    return arguments


VERBS = Verbs(
    "evaluate.commands",
    ("scores", "submission", "check", "score", "ceilings", "calibrate",
     "compare", "study", "results", "ablation", "maps", "report"),
)  # fmt: skip


def main() -> int:
    """Run a verb, here or on a cluster; return the exit status."""
    arguments = _expand_arguments(sys.argv[1:])
    if not {"-h", "--help"}.isdisjoint(arguments):
        return run(VERBS, "evaluate", EXAMPLES, arguments)
    # The forecast imports all of the stage, which would delay --help.
    from evaluate.cost import cost_of
    from execute.whole_command import run_anywhere

    return run_anywhere(VERBS, "evaluate", EXAMPLES, arguments, cost_of)


if __name__ == "__main__":
    sys.exit(main())
