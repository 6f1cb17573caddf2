"""What is said of the ensemble's members: which fits help, which are left out, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluate.fits.completeness import wrap
from evaluate.fits.runs import Run
from evaluate.scoring.member_selection import Member


def members_of(
    runs: Sequence[Run], members: Mapping[str, Mapping[str, Member]]
) -> list[dict[str, Any]]:
    """Summarise over hemispheres, as JSON.

    Returns
    -------
    list of dict
        For each run its name, label and spaces; `n_hemispheres` that have it, in how many it is
        `n_chosen`; the means over them of r `alone` and of the `change` that it makes, None where
        there were too few pictures; and `by_hemisphere`, whether it is a member of each.
    """
    found = []
    for run in runs:
        each = {side: of[run.name] for side, of in members.items() if run.name in of}
        alone, change = (
            float(np.mean([getattr(member, name) for member in each.values()]))
            for name in ("alone", "change")
        )
        found.append(
            {
                "run": run.name,
                "model": run.label,
                "spaces": run.joined,
                "n_hemispheres": len(each),
                "n_chosen": sum(member.is_member for member in each.values()),
                "alone": None if np.isnan(alone) else alone,
                "change": None if np.isnan(change) else change,
                "by_hemisphere": {side: member.is_member for side, member in each.items()},
            }
        )
    return found


def say_members(members: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write lines on the members, those that change most first.

    Returns
    -------
    list of str
        Lines of at most 100 characters; none for one fit.
    """
    if len(members) < 2:
        return []
    if any(one["change"] is None for one in members):
        return ["ensemble: too few held-out pictures to tell which fits help; all are members"]
    lines = ["ensemble: members are chosen on held-out pictures; the change is of its mean r there"]
    for one in sorted(members, key=lambda one: (-one["n_chosen"], -one["change"])):
        chosen, n = one["n_chosen"], one["n_hemispheres"]
        what = "left out of all" if not chosen else f"member in {chosen} of"
        line = f"  {one['model']} ({one['spaces']}): {what} {n} hemispheres, "
        lines += wrap(f"{line}{one['change']:+.4f}, alone {one['alone']:.3f}")
    return lines
