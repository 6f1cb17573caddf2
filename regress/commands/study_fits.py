"""Fit the rows of a study: one after another on this machine, in parallel on a cluster."""

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

    Methods take the table's `entries`: a dict for each row of the study, by the row's name.

    Parameters
    ----------
    data, out : Path
        The challenge directory, and the folder of all results.
    subjects : sequence of str
        Numbers of the subjects that the study is about.
    all_subjects : bool
        Whether these are all subjects of the data.
    roles : mapping of str to str
        For a space of the study, the space that stands in for it.
    device : str
        Devices as for `choose_devices`.
    """

    def __init__(
        self,
        data: Path,
        out: Path,
        subjects: Sequence[str],
        all_subjects: bool,
        roles: Mapping[str, str],
        device: str,
    ) -> None:
        self._subjects, self._roles = subjects, roles
        self._common = {"data": data, "out": out, "device": device}
        self._out = out
        self._subject = "all" if all_subjects else " ".join(subjects)
        self._everyone = [s.name for s in find_subjects(data)]
        self._store = FeatureStore(out / "features")

    def describe_row(self, row: Row) -> dict[str, Any]:
        """Return the table's entry of a row that is not fitted yet."""
        parameters = make_estimator(row.model, dict(row.params)).get_params()
        return {
            "name": row.name,
            "model": row.model,
            "spaces": self._spaces(row),
            "asked": list(row.spaces),
            "group_by": row.group_by,
            "params": dict(row.params),
            "loss": parameters.get("loss"),
            "optimiser": parameters.get("optimiser"),
            "trained_on": self._trained_on(row),
            "start": row.start,
            "images": row.images,
            "paper": row.paper,
            "against": row.against,
            "discriminators": parameters.get("discriminators"),
            "pretrained": "",
            "seeds": row.seeds if "random_state" in parameters else 0,
            "fits": [],
            "fit": "",
            "why": "not yet fitted: run the study again",
            "command": "",
        }

    def fit_rows(
        self,
        executor: Executor,
        study: str,
        rows: Sequence[Row],
        entries: Mapping[str, Mapping[str, Any]],
        record: Callable[[Row, Sequence[Mapping[str, str]]], None],
    ) -> None:
        """Fit rows of which none begins from another of them.

        Parameters
        ----------
        record : callable
            Takes a row and the results of its seeds, as `fit_seed` returns them.
        """
        numbers = {name: number for number, name in enumerate(entries, start=1)}
        work = _StudyWork(self, rows, entries, numbers)
        if executor.is_local:
            # Each fit uses all devices, and is a run of its own for `python -m execute`.
            for number, row in enumerate(rows):
                record(row, work(number, iter(range(row.seeds))))
            return
        groups = [[f"{row.name}, seed {seed}" for seed in range(row.seeds)] for row in rows]
        data = str(Path(str(self._common["data"])).absolute())
        key = digest({"study": study, "rows": groups, "subjects": self._subjects, "data": data})
        run = Run(self._out / "runs" / f"study-{key}", "study", study, sys.orig_argv)

        def report(number: int, parts: list[list[dict[str, str]]]) -> None:
            record(rows[number], [result for part in parts for result in part])

        # The fits choose their devices.
        share(executor, ALONE, run, groups, work, report)

    def describe_fits(
        self,
        row: Row,
        entries: Mapping[str, Mapping[str, Any]],
        seeds: Sequence[Mapping[str, str]],
    ) -> dict[str, Any]:
        """Return the fields of a row's entry that its fits change, or the reason for none."""
        reason = next((result["why"] for result in seeds if result["why"]), "")
        command = "" if self.find_obstacle(row, entries) else self.command(row, entries)
        if reason:
            return {"why": reason, "command": command}
        ordered = sorted(seeds, key=lambda result: int(result["seed"]))
        folders = [result["fit"] for result in ordered]
        fields = {"fit": folders[0], "fits": folders, "pretrained": self._pretrained(row)}
        return {**fields, "why": "", "command": command}

    def command(self, row: Row, entries: Mapping[str, Mapping[str, Any]]) -> str:
        """Return the command that fits a row with its first seed."""
        return make_command("fit", self._arguments(row, entries, 0))

    def fit_seed(
        self, row: Row, entries: Mapping[str, Mapping[str, Any]], seed: int
    ) -> dict[str, str]:
        """Fit a row with a seed; return `seed`, the name `fit`, and `why` there is none."""
        result = {"seed": str(seed), "fit": "", "why": self.find_obstacle(row, entries)}
        if result["why"]:
            return result
        label = f"seed {seed + 1} of {row.seeds}" if row.seeds > 1 else ""
        if label:
            say(f"  {label}: random_state={seed}")
        try:
            return result | {"fit": fit(**self._arguments(row, entries, seed)).name}
        except RoiridgeError as error:
            return result | {"why": f"{label}: {error}" if label else str(error)}

    def _pretrained(self, row: Row) -> str:
        """Return "yes" if features or model use a network trained on other data, else "no"."""
        networks = [
            entry
            for entry in map(self._store.find, self._spaces(row))
            if entry.meta["key"].get("weights")
        ]
        inside = make_estimator(row.model, dict(row.params)).pretrained
        return "yes" if inside or any(not entry.untrained for entry in networks) else "no"

    def find_obstacle(self, row: Row, entries: Mapping[str, Mapping[str, Any]]) -> str:
        """Return why a row cannot be fitted; empty if it can."""
        if row.subjects == "others" and len(self._subjects) > 1:
            return "it trains on the other subjects: run the study with one subject, such as 01"
        if row.subjects in ("all", "others") and len(self._everyone) < 2:
            return f"several subjects are needed, there is only {self._everyone[0]}"
        if row.start and not entries[row.start]["fit"]:
            return f"it begins from {row.start!r}, which was not run"
        obstacles = (self._find_space_obstacle(space, row.untrained) for space in self._spaces(row))
        return "; ".join(filter(None, obstacles))

    def _find_space_obstacle(self, space: str, untrained: bool) -> str:
        weights = {"weights": [f"{space}=random:0"]} if untrained else {}
        # Saved with the row: the command must not depend on how this one was called.
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
        """List the subjects of one training; empty where each subject is fitted alone."""
        if row.subjects == "all":
            return self._everyone
        if row.subjects == "others":
            return [name for name in self._everyone if name not in self._subjects]
        return list(row.subjects)

    def _arguments(
        self, row: Row, entries: Mapping[str, Mapping[str, Any]], seed: int
    ) -> dict[str, Any]:
        subjects = self._trained_on(row)
        arguments: dict[str, Any] = (
            {"subjects": subjects} if subjects else {"subject": self._subject}
        )
        arguments |= {
            "model": row.model,
            "spaces": self._spaces(row),
            "group_by": row.group_by,
            "params": dict(row.params) | (_seed_parameters(row, seed) if seed else {}),
            **self._common,
        }
        if row.start:
            fits = entries[row.start]["fits"]
            arguments["start"] = Path(fits[seed % len(fits)])
        if row.images:
            arguments["images"] = row.images
        return arguments


@dataclass(frozen=True)
class _StudyWork:
    """Rows of a study, with a unit per seed that any process can fit."""

    fitting: StudyFitter
    rows: Sequence[Row]
    entries: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, int]

    def __call__(self, number: int, units: Iterator[int]) -> list[dict[str, str]]:
        row, results = self.rows[number], []
        say(f"[{self.numbers[row.name]}/{len(self.numbers)}] {row.name}")
        if not self.fitting.find_obstacle(row, self.entries):
            say(f"  {self.fitting.command(row, self.entries)}")
        for seed in units:
            results.append(self.fitting.fit_seed(row, self.entries, seed))
            if results[-1]["why"]:
                # The other seeds would fail for the same reason.
                results += [{**results[-1], "seed": str(remaining)} for remaining in units]
        return results


def waves(rows: Sequence[Row]) -> list[list[Row]]:
    """Divide rows into waves, so that each row begins from a row of an earlier wave, or none."""
    waves: list[list[Row]] = []
    level: dict[str, int] = {}
    for row in rows:
        level[row.name] = level[row.start] + 1 if row.start else 0
        waves += [[]] if level[row.name] == len(waves) else []
        waves[level[row.name]].append(row)
    return waves


def _seed_parameters(row: Row, seed: int) -> dict[str, Any]:
    """Return the parameters of a row's seed; seed 0 is every model's default."""
    weights = str(row.params.get("weights", ""))
    return {
        "random_state": seed,
        **({"weights": f"random:{seed}"} if weights.startswith("random:") else {}),
    }
