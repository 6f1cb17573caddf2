"""Findings of a check of a submission, by severity."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Findings of a check, one line each."""

    # Faults because of which the submission cannot be scored.
    faults: list[str] = field(default_factory=list)
    # Files that can be scored but are probably wrong: rows in another order, one file twice.
    suspicions: list[str] = field(default_factory=list)
    # Further facts for the author, and checks that were not possible.
    remarks: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Faults and suspicions."""
        return self.faults + self.suspicions
