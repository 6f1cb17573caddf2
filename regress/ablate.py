"""`python -m regress.ablate`: the command of `regress.commands.ablate`."""

import sys

from base.command_line.parser import run
from regress.commands.ablate import EXAMPLES, ablate

if __name__ == "__main__":
    sys.exit(run(ablate, "regress.ablate", EXAMPLES))
