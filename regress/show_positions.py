"""`python -m regress.show_positions`: the command of `regress.commands.positions`."""

import sys

from base.command_line.parser import run
from regress.commands.positions import EXAMPLES, positions

if __name__ == "__main__":
    sys.exit(run(positions, "regress.show_positions", EXAMPLES))
