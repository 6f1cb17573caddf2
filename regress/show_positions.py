"""`python -m regress.show_positions`: the command of `regress.commands.positions`."""

import sys

from base.command_line.parser import run
from regress.commands.positions import EXAMPLES, show

if __name__ == "__main__":
    sys.exit(run(show, "regress.show_positions", EXAMPLES))
