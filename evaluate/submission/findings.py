"""What a look through a submission finds, by how much it matters."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """What is wrong with a submission, a line each.

    Attributes
    ----------
    faults : list of str
        What keeps it from being scored.
    suspicions : list of str
        What can be scored, but cannot be meant: rows in another order, one file twice.
    remarks : list of str
        What its author should know, and what could not be told.
    """

    faults: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Faults and suspicions."""
        return self.faults + self.suspicions
