"""Findings of a check of a submission, by severity."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Findings of a check, one line each.

    Attributes
    ----------
    faults : list of str
        Faults because of which the submission cannot be scored.
    suspicions : list of str
        Files that can be scored but are probably wrong: rows in another order, one file twice.
    remarks : list of str
        Further facts for the author, and checks that were not possible.
    """

    faults: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Faults and suspicions."""
        return self.faults + self.suspicions
