"""The verbs of the command `roiridge`: what each does, and the commands that it calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from base.command_line.targets import TARGETS, VARIABLES, Command


@dataclass(frozen=True)
class Verb:
    """A verb of `roiridge`.

    Attributes
    ----------
    summary : str
        What it does, for the list of verbs.
    commands : tuple of Command
        The commands that it calls, one after the other.
    """

    summary: str
    commands: tuple[Command, ...]

    def words(self, number: int, words: Sequence[str]) -> list[str]:
        """Return the words of the user that a command gets.

        The first command gets all flags but those of the later commands alone, also unknown ones,
        which it refuses. A later command gets those of its make variables.
        """
        parameters = [{VARIABLES[n].parameter for n in c.variables} for c in self.commands]
        later = set().union(*parameters[1:]) - parameters[0]
        selection: list[str] = []
        n_skipped = 0
        for word in words:
            if word.startswith("--"):
                name = word[2:].partition("=")[0].replace("-", "_")
                skips = name in later if number == 0 else name not in parameters[number]
                n_values = 0 if "=" in word else 1 if name in SINGLE else len(words)
                n_skipped = 1 + n_values if skips else 0
            if n_skipped:
                n_skipped -= 1
            else:
                selection.append(word)
        return selection


# Parameters that are one word of a command line.
SINGLE = {variable.parameter for variable in VARIABLES.values() if variable.split is None}
VERBS = {
    "simulate": Verb("write a simulated dataset with a known truth",
                     (Command("challenge simulate", ()),)),
    "check": Verb("look for every fault in a dataset", TARGETS["check"]),
    "plan": Verb("forecast time, memory and disk of every stage", TARGETS["plan"]),
    "layers": Verb("list the layers of a network", (Command("extract layers", ()),)),
    "features": Verb("compute feature spaces of all pictures, once", TARGETS["features"]),
    "ls": Verb("list the feature spaces", TARGETS["ls"]),
    "fit": Verb("fit a model per ROI and hemisphere of each subject", TARGETS["fit"]),
    "ablate": Verb("compute what each feature space contributes", TARGETS["ablate"]),
    "study": Verb("fit and score every row of a list of models", TARGETS["compare-encoders"]),
    "positions": Verb("draw how positions on the cortex enter a model", TARGETS["positions"]),
    "evaluate": Verb("score every fit and their ensemble", TARGETS["evaluate"]),
    "compare": Verb("compare fits on the same pictures, per ROI", TARGETS["compare"]),
    "report": Verb("write scores, maps and examples on one page", TARGETS["report"]),
    "predict": Verb("predict the responses to any pictures", TARGETS["predict"]),
    "explore": Verb("see what a picture does to the brain, on a local page", TARGETS["explore"]),
    "screen": Verb("rank pictures by the predicted response of a region",
                   (Command("predict screen", ()),)),
    "pack": Verb("write encoders to one file, to share them", (Command("predict pack", ()),)),
    "unpack": Verb("verify and extract such a file", (Command("predict unpack", ()),)),
    "maps": Verb("draw maps of the cortex for papers", TARGETS["maps"]),
    "submission": Verb("write and check the zip that the challenge takes", TARGETS["submission"]),
    "score": Verb("score a zip against the test responses", TARGETS["score"]),
    "status": Verb("show what is done, running and failed", TARGETS["status"]),
}  # fmt: skip
# The verb by the first command that it calls.
VERB_NAMES = {verb.commands[0].module: name for name, verb in VERBS.items()}
