"""What was done and with what, what was left out and why, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from base import plural
from challenge import HEMISPHERES, Subject
from challenge.ceilings.published import PUBLISHED
from evaluate.fits.completeness import coverage_lines, unfinished_lines
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import Run
from evaluate.tables.legend import score_warnings


def fitted(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """List what was fitted on what.

    Returns
    -------
    list of dict
        For each: folder, model, spaces, subjects, number of models, settings, and the command.
    """
    found = []
    for run in runs:
        meta = run.models[0].meta
        settings = dict(meta.get("settings", {}))
        # What was left at its default is in the fits' files.
        settings.pop("defaults", None)
        settings |= settings.pop("parameters", None) or {}
        found.append(
            {
                "name": run.name,
                "label": run.label,
                "spaces": [
                    {"name": name, "untrained": name in run.untrained}
                    for name in (*run.spaces, *sorted(run.untrained - {*run.spaces}))
                ],
                "subjects": run.subjects,
                "n_models": len(run.models),
                "settings": ", ".join(f"{k} = {_short(v)}" for k, v in sorted(settings.items())),
                "command": meta.get("provenance", {}).get("command", "not recorded"),
            }
        )
    return found


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 4:
        return f"{_short(value[0])} … {_short(value[-1])} ({len(value)} values)"
    return f"{value:g}" if isinstance(value, float) else str(value)


def excluded(inputs: Inputs, sidecar: Mapping[str, Any]) -> list[dict[str, str]]:
    """List what was left out of the numbers, and why."""
    found = []
    ensemble = next(
        (c for c in sidecar["counts"]
         if c["fit"] == inputs.pooled and c["subject"] == c["hemisphere"] == "all"), None
    )  # fmt: skip
    if ensemble is not None:
        whose = "of the ensemble" if len(inputs.runs) > 1 else "of the fit"
        n, out = ensemble["n_vertices"], ensemble["n_excluded"]
        found.append(
            _line(f"{out} of {plural(n, 'vertex')}", "their noise ceiling is 0: in no mean")
        )
        clipped = f"{plural(ensemble['n_clipped'], 'vertex')} {whose}"
        found.append(_line(clipped, "kept, but their score was cut at 100 %, as the challenge has "
                                    "it, which biases means downwards"))  # fmt: skip
        if ensemble["n_constant"]:
            constant = f"{plural(ensemble['n_constant'], 'vertex')} {whose}"
            found.append(_line(constant, "kept: one prediction for all pictures counts as r = 0"))
        if n_flat := ensemble["n_constant_measured"]:
            found.append(_line(f"{n_flat} vertices", "kept: measured responses that are constant "
                                                     "count as r = 0"))  # fmt: skip
    found += [_line(f"subject {one.name}", "has no fits") for one in inputs.unfitted]
    for line in unfinished_lines(sidecar["unfinished"]):
        what, _, fix = line.partition(": ")
        found.append(_line(what, f"the run was not finished: {fix}"))
    for whose, runs in sidecar["coverage"]["lacking"].items():
        found.append(_line(f"subject {whose}", f"has no fit of {', '.join(runs)}"))
    for kind, why in (("test_responses", "test responses are not there"),
                      ("ceilings", "noise ceilings are not there")):  # fmt: skip
        files = sidecar["absent"][kind]
        if files:
            found.append(_line(f"{plural(len(files), 'file')}, such as {files[0]}", why))
    found += _empty(inputs.subjects)
    return found


def _line(what: str, why: str) -> dict[str, str]:
    return {"what": what, "why": why}


def _empty(subjects: Sequence[Subject]) -> list[dict[str, str]]:
    sides = [(subject, h) for subject in subjects for h in HEMISPHERES]
    empty: dict[str, list[str]] = {}
    for subject, h in sides:
        for roi in subject.rois(h):
            if not roi.vertices.size:
                empty.setdefault(roi.name, []).append(f"{subject.name} {h}")
    found = []
    for name, where in empty.items():
        whose = "every subject" if len(where) == len(sides) else ", ".join(where)
        found.append(_line(f"{name} of {whose}", "the region has no vertices: a dash in the table"))
    return found


def banners(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    """Say in capitals what a reader must not overlook."""
    found = [f"WARNING: {line}." for line in score_warnings(frame, sidecar)]
    if sidecar["simulated"]:
        found.append(f"SIMULATED responses, subjects {', '.join(sidecar['simulated'])}: the "
                     "figures say nothing about brains.")  # fmt: skip
    untrained = sorted({s for spaces in sidecar["untrained"].values() for s in spaces})
    if untrained:
        found.append(f"UNTRAINED networks, random weights: {', '.join(untrained)}.")
    if coverage_lines(sidecar["coverage"], "report"):
        found.append("Columns cover different subjects: do not compare them where all subjects "
                     "are pooled.")  # fmt: skip
    if len(sidecar["absent"]["ceilings"]):
        found.append("Noise ceilings are missing: what needs them is a dash.")
    return found


def again(options: Mapping[str, Any]) -> str:
    """Write the command that makes the report again.

    Parameters
    ----------
    options : mapping
        The options of `report`, of which those that are None are left out.

    Returns
    -------
    str
        A line for a shell, to be run in this project's folder.
    """
    words = [".venv/bin/python", "-m", "evaluate", "report"]
    for name, value in options.items():
        if value is not None:
            words.append(f"--{name}")
            words += [str(Path(v) if name in {"data", "out"} else v) for v in
                      (value if isinstance(value, list) else [value])]  # fmt: skip
    return shlex.join(words)


def response_unit(subjects: Sequence[Subject]) -> str:
    """Write in what unit the responses are, as far as it is known."""
    if all(subject.simulated or _published(subject) for subject in subjects):
        return "Responses are in standard deviations of a scan session."
    return "Responses are in the unit of the data's files."


def _published(subject: Subject) -> bool:
    """Return whether a subject has the sizes of the challenge's own data, which are z-scored."""
    counts = PUBLISHED.get(subject.name)
    found = (len(subject.pictures("train")), *(subject.n_vertices(h) for h in HEMISPHERES))
    return counts is not None and found == (counts.train, counts.lh, counts.rh)
