"""`python -m predict images`: fitted encoders on any pictures."""

import sys

from base.command_line.parser import Command, run
from predict.commands.images import images

EXAMPLES = (
    "python -m predict images photos --subject 01 --fits ridge",
    "python -m predict images shards.tar --roi FFA-1 PPA --vertices float16",
)
VERBS: dict[str, Command] = {"images": images}
SWITCHES = ("--skip-damaged", "--skip_damaged")


def main() -> int:
    """Run a verb; return the exit status."""
    words = [f"{word}=true" if word in SWITCHES else word for word in sys.argv[1:]]
    return run(VERBS, "predict", EXAMPLES, words)


if __name__ == "__main__":
    sys.exit(main())
