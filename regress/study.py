"""`python -m regress.study`: the command of `regress.commands.study`."""

import sys

from base.command_line.parser import run
from regress.commands.study import EXAMPLES, study

if __name__ == "__main__":
    sys.exit(run(study, "regress.study", EXAMPLES))
