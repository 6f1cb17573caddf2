"""Labels of fits in tables, figures and messages: made here alone."""

from typing import NamedTuple

ENSEMBLE = "ensemble"
# Digits of the digest in the label of a fit without a name.
DIGITS = 6


class FitLabel(NamedTuple):
    """A fit, or the ensemble, as scores.csv names it."""

    fit: str  # folder, or "ensemble"
    label: str
    model: str
    spaces: str  # joined by "+"
    untrained: tuple[str, ...] = ()  # its spaces, and networks inside it, of random weights

    @property
    def columns(self) -> dict[str, str]:
        """The columns `label`, `model` and `spaces` of scores.csv."""
        return {"label": self.label, "model": self.model, "spaces": self.spaces}

    @property
    def title(self) -> str:
        """The name in figures and on the report's page."""
        if self.fit == ENSEMBLE:
            return ENSEMBLE
        spaces = self.spaces.split("+")
        marked = [f"UNTRAINED {space}" if space in self.untrained else space for space in spaces]
        inside = [f"UNTRAINED {space}" for space in self.untrained if space not in spaces]
        return describe_fit(self.label, self.model, ", ".join([" + ".join(marked), *inside]))


def make_label(name: str, model: str, digest: str) -> str:
    """Return the name that a fit was given, or else the beginning of its folder's name."""
    return name or f"{model}-{digest[:DIGITS]}"


def describe_fit(label: str, model: str, spaces: str) -> str:
    """Return the label and the spaces, with the model where the label does not name it."""
    return f"{label} ({spaces if label.startswith(f'{model}-') else f'{model}, {spaces}'})"
