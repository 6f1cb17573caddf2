"""The members of the ensemble: which fits were chosen, and how much each changes the mean r."""

from collections.abc import Mapping, Sequence

import numpy as np

from evaluate.fits.completeness import wrap
from evaluate.fits.runs import Run
from evaluate.scoring.member_selection import Member
from evaluate.scoring.score_report import MemberSummary


def summarise_members(
    runs: Sequence[Run], members: Mapping[str, Mapping[str, Member]]
) -> list[MemberSummary]:
    """Summarise the ensemble's members over hemispheres."""
    summaries: list[MemberSummary] = []
    for run in runs:
        by_hemisphere = {side: fits[run.name] for side, fits in members.items() if run.name in fits}
        parts = list(by_hemisphere.values())
        alone = float(np.mean([member.alone for member in parts]))
        change = float(np.mean([member.change for member in parts]))
        summaries.append(
            {
                "run": run.name,
                "model": run.label,
                "spaces": run.joined,
                "n_hemispheres": len(by_hemisphere),
                "n_chosen": sum(member.is_member for member in parts),
                "alone": None if np.isnan(alone) else alone,
                "change": None if np.isnan(change) else change,
                "by_hemisphere": {side: member.is_member for side, member in by_hemisphere.items()},
            }
        )
    return summaries


def describe_members(members: Sequence[MemberSummary]) -> list[str]:
    """Return lines on the members, those of the largest change first; none for a single fit."""
    if len(members) < 2:
        return []
    changes = {member["run"]: member["change"] for member in members}
    if None in changes.values():
        return ["ensemble: too few held-out pictures to tell which fits help; all are members"]
    lines = ["ensemble: members are chosen on held-out pictures; the change is of its mean r there"]
    for member in sorted(
        members, key=lambda member: (-member["n_chosen"], -(member["change"] or 0))
    ):
        n_chosen, n = member["n_chosen"], member["n_hemispheres"]
        membership = "left out of all" if not n_chosen else f"member in {n_chosen} of"
        line = f"  {member['model']} ({member['spaces']}): {membership} {n} hemispheres, "
        lines += wrap(f"{line}{member['change']:+.4f}, alone {member['alone']:.3f}")
    return lines
