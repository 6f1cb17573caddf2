"""What was asked for and how far it is: a folder of small files that every command can read.

`OUT/runs/<stage>-<digest>/run.json` says what was asked; beside it each unit of work has a file,
written by the process that does it, when it begins and when it ends.
"""

import errno
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

import base
from execute.forecast.cost import Cost
from execute.records import SHAPES, UnitRecord
from execute.work import Groups

# What the system says where nothing may be written.
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


@dataclass(frozen=True)
class Run:
    """Work that a command asks for; asked for again, it is the same run.

    Attributes
    ----------
    folder : Path
        `OUT/runs/<stage>-<digest>`.
    stage : str
        For example "fit".
    label : str
        What is done, for people: "ridge on alexnet + clip".
    command : list of str
        What the user called.
    costs : list of list of Cost, optional
        What each unit of each group is expected to take.
    """

    folder: Path
    stage: str
    label: str
    command: list[str]
    costs: list[list[Cost]] | None = None

    def begin(self, groups: Groups) -> bool:
        """Write what is asked for.

        Parameters
        ----------
        groups : sequence of sequence of str
            The units of each group, by name.

        Returns
        -------
        bool
            False where nothing can be written, as in a folder of others: what is there already
            serves all the same, and what is to be written there will say so itself.

        Raises
        ------
        OSError
            For other reasons, such as a full disk.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            return False
        before = read_json(self.folder / "run.json")
        same = before.get("groups") == [list(units) for units in groups]
        about = {
            "stage": self.stage,
            "label": self.label,
            "command": self.command,
            "asked": datetime.now(UTC).isoformat(timespec="seconds"),
            "groups": [list(units) for units in groups],
            "planned": self._planned((same and before.get("planned")) or None),
        }
        try:
            for path in self.folder.glob("[0-9]*.json"):
                # What failed is asked for again.
                if not same or read_json(path).get("state") in ("failed", "interrupted"):
                    path.unlink(missing_ok=True)
            write_json(self.folder / "run.json", about)
            jobs = read_json(self.folder / "jobs.json")
            if jobs.get("failed"):
                # Why jobs failed that were asked for before.
                write_json(self.folder / "jobs.json", {**jobs, "failed": []})
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            return False
        return True

    def _planned(self, before: list[list[dict[str, Any]]] | None) -> Any:
        """Give what each unit is expected to take; what is there already takes what it took."""
        if not self.costs:
            return before
        new = [[vars(cost) for cost in group] for group in self.costs]
        if before is None:
            return new
        return [
            [
                cost if cost["seconds"] else earlier
                for cost, earlier in zip(costs, earlier_costs, strict=True)
            ]
            for costs, earlier_costs in zip(new, before, strict=True)
        ]

    def record_failure(self, number: int, unit: int, reason: str, log: str) -> None:
        """Record that a unit could not be begun.

        Parameters
        ----------
        number : int
            Of its group.
        unit : int
            Of the unit.
        reason : str
            The reason, for the user.
        log : str
            The file of what the process prints, if any.
        """
        about = {**base.identity(), "log": log, "state": "failed", "reason": reason}
        write_json(self.unit(number, unit), about)

    def unit(self, number: int, unit: int) -> Path:
        """Name the file of a unit.

        Parameters
        ----------
        number : int
            Of its group.
        unit : int
            Of the unit.

        Returns
        -------
        Path
            A JSON file, there once the unit was begun.
        """
        return self.folder / f"{number}.{unit}.json"


def write_json(path: Path, about: dict[str, Any]) -> None:
    """Write a small JSON file whole."""
    # Readers see it whole; after a power cut it may be as it was, which costs nothing.
    temporary = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
    temporary.write_text(json.dumps(about, indent=1) + "\n")
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote of a run: `run.json`, `jobs.json` or the file of a unit.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Empty where there is none; and where it is damaged, which is told.
    """
    shape = SHAPES.get(path.name, UnitRecord)
    try:
        about = shape.model_validate(base.read_json(path))
    except FileNotFoundError:
        return {}
    except (base.DocumentError, ValidationError):
        base.say(f"warning: {path}: is damaged, and passed over; it holds no results: remove it")
        return {}
    return about.model_dump(exclude_unset=True, by_alias=True)
