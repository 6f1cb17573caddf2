"""Caveats of scores, shown with them: leaked test pictures, unfinished fits, simulated data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from base import plural
from challenge import Subject, test_pictures_in_training
from evaluate.fits.completeness import Unfinished, unfinished_lines, wrap
from evaluate.fits.runs import Run


class Leak(TypedDict):
    """Test pictures of a subject that are training pictures too."""

    n_pictures: int  # test pictures of the subject
    pairs: list[list[str]]  # file names in the test and in the training split


@dataclass(frozen=True)
class Caveats:
    """What must be said wherever scores stand; the JSON next to the scores has the same fields."""

    split: str = "test"  # or "heldout"
    n_pictures: dict[str, int] = field(default_factory=dict)  # scored, of each subject
    leaked: dict[str, Leak] = field(default_factory=dict)  # by subject
    # By label and subject, test pictures that the training's start had seen.
    started: dict[str, dict[str, int]] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    simulated: list[str] = field(default_factory=list)  # subjects
    untrained: dict[str, list[str]] = field(default_factory=dict)  # spaces by run: random weights
    made_ceilings: list[str] = field(default_factory=list)  # subjects: by `evaluate ceilings`

    @property
    def fewest_pictures(self) -> int:
        """The least number of scored pictures of a subject."""
        return min(self.n_pictures.values())

    @property
    def untrained_spaces(self) -> list[str]:
        """The sorted spaces with random weights."""
        return sorted({space for spaces in self.untrained.values() for space in spaces})

    def warning_lines(self) -> list[str]:
        """Return a sentence for each reason to distrust the scores."""
        starts = [
            f"{label} began from a fit that was trained on "
            f"{plural(count, 'test picture')} of subject {name}: its scores on them are inflated"
            for label, counts in self.started.items()
            for name, count in counts.items()
            if self.split == "test"
        ]
        return [*leak_lines(self.leaked, self.split), *starts, *unfinished_lines(self.unfinished)]

    def wrapped_warnings(self) -> list[str]:
        """Return the warnings as lines of at most 100 characters."""
        return [part for line in self.warning_lines() for part in wrap(f"WARNING: {line}")]

    def origin_lines(self) -> list[str]:
        """Return a sentence each for computed ceilings, simulated responses, random weights."""
        texts = {
            "ceilings made by `evaluate ceilings`, subjects": self.made_ceilings,
            "the responses are SIMULATED, subjects": self.simulated,
            "UNTRAINED networks, random weights": self.untrained_spaces,
        }
        return [f"{text}: {', '.join(names)}" for text, names in texts.items() if names]

    def pictures_line(self) -> str:
        """Return, for example, "on 159 to 395 test pictures of each subject: 01, 02"."""
        return pictures_line(self.n_pictures, self.split)


def find_leaked(subjects: Sequence[Subject]) -> dict[str, Leak]:
    """Find the test pictures that are training pictures too, by subject."""
    leaked: dict[str, Leak] = {}
    for subject in subjects:
        if pairs := test_pictures_in_training(subject):
            names = [[test.name, training.name] for test, training in pairs]
            leaked[subject.name] = {"n_pictures": len(subject.pictures("test")), "pairs": names}
    return leaked


def find_started(runs: Sequence[Run]) -> dict[str, dict[str, int]]:
    """Count, by label and subject, test pictures in the training of the fit a fit started from."""
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        for model in run.models:
            if count := model.meta.get("training", {}).get("start_tested", 0):
                counts.setdefault(run.label, {})[model.meta["subject"]] = int(count)
    return counts


def leak_lines(leaked: Mapping[str, Leak], split: str = "test") -> list[str]:
    """Return a sentence for each subject with test pictures that are training pictures."""
    return [
        f"{len(leak['pairs'])} of {plural(leak['n_pictures'], 'test picture')} of subject {name} "
        "are training pictures too, which a model has learned: their scores are no predictions "
        f"(such as {' = '.join(leak['pairs'][0])}; make check lists all)"
        for name, leak in leaked.items()
        if split == "test"
    ]


def pictures_line(n_pictures: Mapping[str, int], split: str) -> str:
    """Return, for example, "on 159 to 395 test pictures of each subject: 01, 02"."""
    low, high = min(n_pictures.values()), max(n_pictures.values())
    noun = {"test": "test picture", "heldout": "held-out training picture"}[split]
    counted = plural(high, noun) if low == high else f"{low} to {plural(high, noun)}"
    several = "each subject: " if len(n_pictures) > 1 else "subject "
    return f"on {counted} of {several}{', '.join(n_pictures)}"
