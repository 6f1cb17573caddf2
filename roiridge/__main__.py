"""`roiridge VERB …`, or `python -m roiridge VERB …`: every command, from any folder."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from base.command_line.targets import nearest
from base.command_line.verbs import VERBS
from roiridge import __version__

# Flags after which a command only prints something about itself.
INFORMATION = ("-h", "--help", "--print_")


def main() -> int:
    """Call the commands of a verb; return the exit status."""
    if Path(sys.argv[0]).stem == "roiridge":
        # Called by the console script. Records and hints show the command as it was typed.
        sys.orig_argv = ["roiridge", *sys.argv[1:]]
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {name:<12} {verb.summary}" for name, verb in VERBS.items()]
        print("usage: roiridge VERB …", "", *lines, "", sep="\n")
        print("`roiridge VERB --help` describes the words that a verb takes.")
        return 0
    if name == "--version":
        print(f"roiridge {__version__}")
        return 0
    if name not in VERBS:
        hint = nearest(name, VERBS)
        print(f"error: unknown verb {name!r}{hint} (roiridge lists all)", file=sys.stderr)
        return 2
    return _call(name, words)


def _call(name: str, words: Sequence[str]) -> int:
    """Call the commands of a verb until one fails; return the exit status of the last."""
    verb = VERBS[name]
    commands = verb.commands[:1] if any(w.startswith(INFORMATION) for w in words) else verb.commands
    if len(commands) > 1 and any(word.partition("=")[0] == "--config" for word in words):
        modules = " and then ".join(f"python -m {command.module}" for command in commands)
        message = f"{name} is two commands, each with a file of its own: call {modules}"
        print(f"error: --config: {message}", file=sys.stderr)
        return 2
    status = 0
    for number, command in enumerate(commands):
        module, *start = command.module.split()
        sys.argv = [module, *start, *verb.words(number, words)]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status:
            break
    return status


if __name__ == "__main__":
    sys.exit(main())
