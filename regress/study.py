"""`python -m regress.study`: fit every row of a study, with the command of each."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from base import RoiridgeError, provenance, say
from base.command import run
from cache import CacheError, FeatureStore, write_artifact
from challenge import find_subjects
from regress.command import fit, make_estimator
from regress.device import choose_devices
from regress.errors import RegressError
from regress.studies.commands import make_command
from regress.studies.rows import Row, Study, read_study


def study(
    study: str,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    stand_in: list[str] = [],  # noqa: B006
    device: str = "auto",
) -> None:
    """Fit every row of a study that is not there yet; `python -m evaluate study` scores them.

    What a row cannot be fitted for is said, and kept for the table; the others go on. The list of
    rows, with the fit of each, is kept in OUT/studies.

    Parameters
    ----------
    study : str
        encoders, or the path of a .yaml file of your own, made as regress/studies/encoders.yaml is.
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made.
    subject : str or int
        A subject's number, or "all".
    stand_in : list of str
        Feature spaces that stand in for those of the study, for example clip=efficientnet_lite0.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the hemispheres of each row, a process each.
    """
    # What is wrong with it would be wrong in every row.
    choose_devices(device)
    found = read_study(study)
    roles = _stand_ins(stand_in, found)
    subjects = [one.name for one in find_subjects(data, str(subject))]
    plan = _Plan(data, out, subjects, str(subject) == "all", roles, device)
    meta: dict[str, Any] = {
        "kind": "study",
        "study": found.name,
        "about": found.about,
        "paper": found.paper,
        "subjects": subjects,
        "stand_in": roles,
    }
    told: dict[str, dict[str, Any]] = {row.name: plan.described(row) for row in found.rows}
    path = out / "studies" / f"{found.name}.h5"
    for number, row in enumerate(found.rows, start=1):
        say(f"[{number}/{len(found.rows)}] {row.name}")
        told[row.name] |= plan.fitted(row, told)
        if told[row.name]["why"]:
            say(f"  not run: {told[row.name]['why']}")
        meta |= {"rows": list(told.values()), "provenance": provenance()}
        write_artifact(path, {}, meta)
    absent = [name for name, row in told.items() if not row["fit"]]
    say(f"{len(told) - len(absent)} of {len(told)} rows are fitted -> {path}")
    if absent:
        say(f"not run: {'; '.join(absent)}")


class _Plan:
    """Turns rows into the arguments of fits, and fits them."""

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
        self._subject = "all" if all_of_them else subjects[0]
        self._everyone = [one.name for one in find_subjects(data)]
        self._store = FeatureStore(out / "features")

    def described(self, row: Row) -> dict[str, Any]:
        """Say what a row is; nothing of it is fitted yet."""
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

    def fitted(self, row: Row, told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Fit a row with each seed; give its fits and the first one's command, or why not."""
        why = self._amiss(row, told)
        if why:
            return {"why": why}
        folders: list[str] = []
        command = make_command("fit", self._arguments(row, told, 0))
        say(f"  {command}")
        for seed in range(row.seeds):
            of = f"seed {seed + 1} of {row.seeds}" if row.seeds > 1 else ""
            if of:
                say(f"  {of}: random_state={seed}")
            try:
                folders.append(fit(**self._arguments(row, told, seed)).name)
            except RoiridgeError as error:
                return {"why": f"{of}: {error}" if of else str(error), "command": command}
        done = {"fit": folders[0], "fits": folders, "pretrained": self._pretrained(row)}
        return {**done, "why": "", "command": command}

    def _pretrained(self, row: Row) -> str:
        """Say whether a network that was trained on other data has a part in a row."""
        networks = [
            one
            for one in map(self._store.find, self._spaces(row))
            if one.meta["key"].get("weights")
        ]
        inside = make_estimator(row.model, dict(row.params)).pretrained
        return "yes" if inside or any(not one.untrained for one in networks) else "no"

    def _amiss(self, row: Row, told: Mapping[str, Mapping[str, Any]]) -> str:
        if row.subjects == "others" and len(self._subjects) > 1:
            return "others than each subject are meant: run the study with one subject, SUBJECT=01"
        if row.subjects in ("all", "others") and len(self._everyone) < 2:
            return f"several subjects are needed, there is only {self._everyone[0]}"
        if row.start and not told[row.start]["fit"]:
            return f"it begins with {row.start!r}, which was not run"
        lacking = (self._lacking(space, row.untrained) for space in self._spaces(row))
        return "; ".join(filter(None, lacking))

    def _lacking(self, space: str, untrained: bool) -> str:
        weights = {"weights": [f"{space}=random:0"]} if untrained else {}
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
            "params": dict(row.params) | (_drawn_anew(row, seed) if seed else {}),
            **self._common,
        }
        if row.start:
            begun = told[row.start]["fits"]
            arguments["start"] = Path(begun[seed % len(begun)])
        if row.images:
            arguments["images"] = row.images
        return arguments


def _drawn_anew(row: Row, seed: int) -> dict[str, Any]:
    """Say what makes another fit of a row; the first seed is every model's default."""
    weights = str(row.params.get("weights", ""))
    return {
        "random_state": seed,
        **({"weights": f"random:{seed}"} if weights.startswith("random:") else {}),
    }


def _stand_ins(stand_in: Sequence[str], found: Study) -> dict[str, str]:
    asked = list(dict.fromkeys(space for row in found.rows for space in row.spaces))
    roles = {}
    for one in stand_in:
        role, equals, space = one.partition("=")
        if not (equals and space) or role not in asked:
            raise RegressError(
                f"--stand_in {one}: expected SPACE=OTHER with a space of the study, of "
                f"{', '.join(asked)}, for example {asked[0]}=efficientnet_lite0"
            )
        roles[role] = space
    return roles


EXAMPLES = [
    "python -m regress.study encoders --subject 01",
    "python -m regress.study encoders --subject 01 --stand_in clip=efficientnet_lite0",
    "python -m regress.study mine.yaml --subject all",
]

if __name__ == "__main__":
    sys.exit(run(study, "regress.study", EXAMPLES))
