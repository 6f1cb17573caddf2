"""The folder of a run: small files that record the request and the state of each unit.

`OUT/runs/<stage>-<digest>/run.json` holds the request. Each unit of work has a file beside it,
which the process that does the unit writes when it begins and when it ends.
"""

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

import base
from base.claims import identity
from execute.forecast.cost import Cost
from execute.records import SHAPES, UnitRecord
from execute.work import Groups

# Errors of a folder in which this user may not write.
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


@dataclass(frozen=True)
class Run:
    """A request for work; the same request again is the same run.

    Attributes
    ----------
    folder : Path
        `OUT/runs/<stage>-<digest>`.
    stage : str
        For example "fit".
    label : str
        Description for users: "ridge on alexnet + clip".
    command : list of str
        The user's command line.
    costs : list of list of Cost, optional
        Planned cost of each unit of each group.

    Examples
    --------
    >>> run = Run(Path("runs/fit-1"), "fit", "ridge on clip", ["python", "analysis.py"])
    >>> run.begin([["subj01 lh", "subj01 rh"]])
    True
    >>> run.unit(0, 1).name
    '0.1.json'
    """

    folder: Path
    stage: str
    label: str
    command: list[str]
    costs: list[list[Cost]] | None = None

    def begin(self, groups: Groups) -> bool:
        """Write the request to `run.json`, and remove records of earlier failures.

        Parameters
        ----------
        groups : sequence of sequence of str
            The units of each group, by name.

        Returns
        -------
        bool
            False where nothing can be written, as in another user's folder: existing results can
            still be used, and work that has to write there will fail with its own message.

        Raises
        ------
        OSError
            For other reasons, such as a full disk.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_request(groups)
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            return False
        return True

    def _write_request(self, groups: Groups) -> None:
        before = read_json(self.folder / "run.json")
        units = [list(names) for names in groups]
        same = before.get("groups") == units
        about = {
            "stage": self.stage,
            "label": self.label,
            "command": self.command,
            "asked": datetime.now(UTC).isoformat(timespec="seconds"),
            "groups": units,
            "planned": self._planned((same and before.get("planned")) or None),
        }
        for path in self.folder.glob("[0-9]*.json"):
            # Failed units are done again.
            if not same or read_json(path).get("state") in ("failed", "interrupted"):
                path.unlink(missing_ok=True)
        write_json(self.folder / "run.json", about)
        jobs = read_json(self.folder / "jobs.json")
        if jobs.get("failed"):
            # Failures of jobs of the earlier request.
            write_json(self.folder / "jobs.json", {**jobs, "failed": []})

    def _planned(self, before: list[list[dict[str, Any]]] | None) -> Any:
        """Return the planned cost of each unit; a unit with no cost now keeps its earlier plan."""
        if not self.costs:
            return before
        planned = [list(map(vars, costs)) for costs in self.costs]
        for costs, earlier in zip(planned, before or [], strict=False):
            pairs = zip(costs, earlier, strict=True)
            costs[:] = [new if new["seconds"] else old for new, old in pairs]
        return planned

    def record_failure(self, number: int, unit: int, reason: str, log: str) -> None:
        """Record that a unit could not be started.

        Parameters
        ----------
        number : int
            Number of the group.
        unit : int
            Number of the unit in its group.
        reason : str
            The reason, for the user.
        log : str
            The file of what the process prints, if any.
        """
        about = {**identity(), "log": log, "state": "failed", "reason": reason}
        write_json(self.unit(number, unit), about)

    def unit(self, number: int, unit: int) -> Path:
        """Return the path of a unit's record.

        Parameters
        ----------
        number : int
            Number of the group.
        unit : int
            Number of the unit in its group.

        Returns
        -------
        Path
            A JSON file, which exists once the unit was started.
        """
        return self.folder / f"{number}.{unit}.json"


@base.convert_paths
def planned_costs(folder: Path, cost: Callable[[Any], list[list[Cost]]]) -> list[list[Cost]] | None:
    """Return the planned cost of each unit, by the rates that `make plan` stored.

    Parameters
    ----------
    folder : Path
        `OUT/rates`.
    cost : callable
        Returns the costs of each group's units for given `Rates`.

    Returns
    -------
    list of list of Cost, or None
        None where a rate was never measured.

    Examples
    --------
    >>> planned_costs(Path("rates"), lambda rates: [[Cost(1.0)]]) is None  # before make plan
    True
    """
    if not folder.is_dir():
        return None
    from execute.forecast.rates import NotMeasuredError, Rates

    try:
        return cost(Rates(folder, measures=False))
    except NotMeasuredError:
        return None


def write_json(path: Path, about: dict[str, Any]) -> None:
    """Write a small JSON file atomically."""
    # Readers never see half a file. It is not flushed: after a power cut the old contents may be
    # back, which costs nothing.
    temporary = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
    temporary.write_text(json.dumps(about, indent=1) + "\n")
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the contents of `run.json`, `jobs.json` or a unit's file.

    They are empty if the file is missing, and, after a warning, if it is damaged.
    """
    shape = SHAPES.get(path.name, UnitRecord)
    try:
        about = shape.model_validate(base.read_json(path))
    except FileNotFoundError:
        return {}
    except (base.DocumentError, ValidationError):
        base.say(f"warning: {path}: is damaged, and ignored; it holds no results: remove it")
        return {}
    return about.model_dump(exclude_unset=True, by_alias=True)
