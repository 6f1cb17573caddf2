"""The rows of a study turned into fits: here one after the other, on a cluster side by side."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base import RoiridgeError, make_command, say
from cache import CacheError, FeatureStore, digest
from challenge import find_subjects
from execute import ALONE, Executor, Run, share
from regress.commands.fit import fit
from regress.fitting.request_checks import make_estimator
from regress.studies.rows import Row


class StudyFitter:
    """Turns rows into the arguments of fits, and fits them.

    Parameters
    ----------
    data, out : Path
        As for `python -m regress.study`.
    subjects : sequence of str
        Whose fits.
    all_of_them : bool
        Whether these are all that there are.
    roles : mapping of str to str
        Spaces that stand in for others.
    device : str
        As for `choose_devices`.
    """

    def __init__(
        self,
        data: Path,
        out: Path,
        subjects: Sequence[str],
        all_of_them: bool,
        roles: Mapping[str, str],
        device: str,
    ) -> None:
        self._subjects, self._roles = subjects, roles
        self._common = {"data": data, "out": out, "device": device}
        self._out = out
        self._subject = "all" if all_of_them else " ".join(subjects)
        self._everyone = [one.name for one in find_subjects(data)]
        self._store = FeatureStore(out / "features")

    def describe_row(self, row: Row) -> dict[str, Any]:
        """Say what a row is; nothing of it is fitted yet.

        Parameters
        ----------
        row : Row
            The row.

        Returns
        -------
        dict
            As it stands in the table.
        """
        known = make_estimator(row.model, dict(row.params)).get_params()
        return {
            "name": row.name,
            "model": row.model,
            "spaces": self._spaces(row),
            "asked": list(row.spaces),
            "group_by": row.group_by,
            "params": dict(row.params),
            "loss": known.get("loss"),
            "optimiser": known.get("optimiser"),
            "trained_on": self._trained_on(row),
            "start": row.start,
            "images": row.images,
            "paper": row.paper,
            "against": row.against,
            "discriminators": known.get("discriminators"),
            "pretrained": "",
            "seeds": row.seeds if "random_state" in known else 0,
            "fits": [],
            "fit": "",
            "why": "not yet fitted: run the study again",
            "command": "",
        }

    def fit_rows(
        self,
        where: Executor,
        study: str,
        rows: Sequence[Row],
        told: Mapping[str, Mapping[str, Any]],
        take: Callable[[Row, Sequence[Mapping[str, str]]], None],
    ) -> None:
        """Fit rows of which none begins with another of them.

        Parameters
        ----------
        where : Executor
            Where.
        study : str
            The study's name.
        rows : sequence of Row
            What to fit.
        told : mapping
            What is known of each row of the study, by name.
        take : callable
            Takes a row and what became of each seed: its number, its fit, or why there is none.
        """
        numbers = {name: number for number, name in enumerate(told, start=1)}
        work = _Rows(self, rows, told, numbers)
        if where.is_local:
            # Each fit shares the devices, and is recorded by itself.
            for number, row in enumerate(rows):
                take(row, work(number, iter(range(row.seeds))))
            return
        groups = [[f"{row.name}, seed {seed}" for seed in range(row.seeds)] for row in rows]
        data = str(Path(str(self._common["data"])).absolute())
        key = digest({"study": study, "rows": groups, "subjects": self._subjects, "data": data})
        run = Run(self._out / "runs" / f"study-{key}", "study", study, sys.orig_argv)

        def report(number: int, found: list[list[dict[str, str]]]) -> None:
            take(rows[number], [one for part in found for one in part])

        # The fits choose their devices.
        share(where, ALONE, run, groups, work, report)

    def describe_fits(
        self,
        row: Row,
        told: Mapping[str, Mapping[str, Any]],
        seeds: Sequence[Mapping[str, str]],
    ) -> dict[str, Any]:
        """Give the fits of a row and the first one's command, or why there are none.

        Parameters
        ----------
        row : Row
            The row.
        told : mapping
            As for `fit_rows`.
        seeds : sequence of mapping
            What became of each seed.

        Returns
        -------
        dict
            As it stands in the table.
        """
        why = next((one["why"] for one in seeds if one["why"]), "")
        command = "" if self.find_obstacle(row, told) else self.command(row, told)
        if why:
            return {"why": why, "command": command}
        ordered = sorted(seeds, key=lambda one: int(one["seed"]))
        folders = [one["fit"] for one in ordered]
        done = {"fit": folders[0], "fits": folders, "pretrained": self._pretrained(row)}
        return {**done, "why": "", "command": command}

    def command(self, row: Row, told: Mapping[str, Mapping[str, Any]]) -> str:
        """Give the command that fits a row.

        Parameters
        ----------
        row : Row
            The row.
        told : mapping
            As for `fit_rows`.

        Returns
        -------
        str
            With the first seed.
        """
        return make_command("fit", self._arguments(row, told, 0))

    def fit_seed(
        self, row: Row, told: Mapping[str, Mapping[str, Any]], seed: int
    ) -> dict[str, str]:
        """Fit a row with a seed.

        Parameters
        ----------
        row : Row
            The row.
        told : mapping
            As for `fit_rows`.
        seed : int
            The seed's number.

        Returns
        -------
        dict of str to str
            `seed`, `fit` and `why`: the fit's name, or why there is none.
        """
        one = {"seed": str(seed), "fit": "", "why": self.find_obstacle(row, told)}
        if one["why"]:
            return one
        of = f"seed {seed + 1} of {row.seeds}" if row.seeds > 1 else ""
        if of:
            say(f"  {of}: random_state={seed}")
        try:
            return one | {"fit": fit(**self._arguments(row, told, seed)).name}
        except RoiridgeError as error:
            return one | {"why": f"{of}: {error}" if of else str(error)}

    def _pretrained(self, row: Row) -> str:
        """Say whether a network that was trained on other data has a part in a row."""
        networks = [
            one
            for one in map(self._store.find, self._spaces(row))
            if one.meta["key"].get("weights")
        ]
        inside = make_estimator(row.model, dict(row.params)).pretrained
        return "yes" if inside or any(not one.untrained for one in networks) else "no"

    def find_obstacle(self, row: Row, told: Mapping[str, Mapping[str, Any]]) -> str:
        """Say what a row lacks.

        Parameters
        ----------
        row : Row
            The row.
        told : mapping
            As for `fit_rows`.

        Returns
        -------
        str
            Nothing if it can be fitted.
        """
        if row.subjects == "others" and len(self._subjects) > 1:
            return "others than each subject are meant: run the study with one subject, such as 01"
        if row.subjects in ("all", "others") and len(self._everyone) < 2:
            return f"several subjects are needed, there is only {self._everyone[0]}"
        if row.start and not told[row.start]["fit"]:
            return f"it begins with {row.start!r}, which was not run"
        lacking = (self._find_space_obstacle(space, row.untrained) for space in self._spaces(row))
        return "; ".join(filter(None, lacking))

    def _find_space_obstacle(self, space: str, untrained: bool) -> str:
        weights = {"weights": [f"{space}=random:0"]} if untrained else {}
        # It is kept with the row, so it is the same however this was called.
        command = make_command("features", {"spaces": [space], **weights, **self._common})
        try:
            entry = self._store.find(space)
        except CacheError as error:
            if not str(error).startswith("no features named"):
                return str(error)
            return f"no features {space!r}: {command}"
        if untrained and not entry.untrained:
            return f"the features {space!r} are of trained weights, not random: {command}"
        return ""

    def _spaces(self, row: Row) -> list[str]:
        return list(dict.fromkeys(self._roles.get(space, space) for space in row.spaces))

    def _trained_on(self, row: Row) -> list[str]:
        """Name the subjects of one training; none where each subject is trained on its own."""
        if row.subjects == "all":
            return self._everyone
        if row.subjects == "others":
            return [name for name in self._everyone if name not in self._subjects]
        return list(row.subjects)

    def _arguments(
        self, row: Row, told: Mapping[str, Mapping[str, Any]], seed: int
    ) -> dict[str, Any]:
        whom = self._trained_on(row)
        arguments: dict[str, Any] = {"subjects": whom} if whom else {"subject": self._subject}
        arguments |= {
            "model": row.model,
            "spaces": self._spaces(row),
            "group_by": row.group_by,
            "params": dict(row.params) | (_seed_parameters(row, seed) if seed else {}),
            **self._common,
        }
        if row.start:
            begun = told[row.start]["fits"]
            arguments["start"] = Path(begun[seed % len(begun)])
        if row.images:
            arguments["images"] = row.images
        return arguments


@dataclass(frozen=True)
class _Rows:
    """Rows of a study, of which any process can fit some seeds."""

    fitting: StudyFitter
    rows: Sequence[Row]
    entries: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, int]

    def __call__(self, number: int, units: Iterator[int]) -> list[dict[str, str]]:
        row, found = self.rows[number], []
        say(f"[{self.numbers[row.name]}/{len(self.numbers)}] {row.name}")
        if not self.fitting.find_obstacle(row, self.entries):
            say(f"  {self.fitting.command(row, self.entries)}")
        for seed in units:
            found.append(self.fitting.fit_seed(row, self.entries, seed))
            if found[-1]["why"]:
                # What one seed cannot, none can.
                found += [{**found[-1], "seed": str(other)} for other in units]
        return found


def waves(rows: Sequence[Row]) -> list[list[Row]]:
    """Divide rows into those that begin with none, and those that begin with one before them.

    Parameters
    ----------
    rows : sequence of Row
        Of a study.

    Returns
    -------
    list of list of Row
        In the order in which they can be fitted.
    """
    waves: list[list[Row]] = []
    at: dict[str, int] = {}
    for row in rows:
        at[row.name] = at[row.start] + 1 if row.start else 0
        waves += [[]] if at[row.name] == len(waves) else []
        waves[at[row.name]].append(row)
    return waves


def _seed_parameters(row: Row, seed: int) -> dict[str, Any]:
    """Say what makes another fit of a row; the first seed is every model's default."""
    weights = str(row.params.get("weights", ""))
    return {
        "random_state": seed,
        **({"weights": f"random:{seed}"} if weights.startswith("random:") else {}),
    }
