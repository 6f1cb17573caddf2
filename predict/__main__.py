"""`python -m predict images | explore | screen | pack | unpack`: encoders on any pictures."""

import sys

from base.command_line.parser import Command, run
from predict.commands.explore import explore
from predict.commands.images import images
from predict.commands.pack import pack, unpack
from predict.commands.screen import screen

EXAMPLES = (
    "python -m predict images photos --subject 01 --fits ridge",
    "python -m predict images shards.tar --roi FFA-1 PPA --vertices float16",
    "python -m predict explore --subject 01 --fits ridge",
    "python -m predict screen photos --contrast 'FFA-1 - PPA' --top 50",
    "python -m predict pack encoder.zip --fits ridge --dtype float16",
    "python -m predict images photos --fits encoder.zip",
)
VERBS: dict[str, Command] = {
    "images": images,
    "explore": explore,
    "screen": screen,
    "pack": pack,
    "unpack": unpack,
}
SWITCHES = ("--skip-damaged", "--skip_damaged")


def main() -> int:
    """Run a verb; return the exit status."""
    words = sys.argv[1:]
    pairs = zip(words, [*words[1:], ""], strict=True)
    # A switch needs no value.
    words = [
        f"{word}=true" if word in SWITCHES and value not in ("true", "false") else word
        for word, value in pairs
    ]
    return run(VERBS, "predict", EXAMPLES, words)


if __name__ == "__main__":
    sys.exit(main())
