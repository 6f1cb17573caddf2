"""The account of a report: fits, exclusions with their reasons, warnings, and the command."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from base import plural
from challenge import HEMISPHERES, Subject
from challenge.ceilings.published import PUBLISHED
from evaluate.fits.completeness import unfinished_lines
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import Run
from evaluate.scoring.score_report import ScoreReport
from evaluate.tables.legend import score_warnings


def describe_fits(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return folder, label, spaces, subjects, settings and command of each run."""
    fits = []
    for run in runs:
        meta = run.models[0].meta
        settings: dict[str, Any] = dict(meta.get("settings", {}))
        # Defaults are in the fits' files.
        settings.pop("defaults", None)
        settings |= settings.pop("parameters", None) or {}
        spaces = (*run.spaces, *sorted(run.untrained - {*run.spaces}))
        fits.append(
            {
                "name": run.name,
                "label": run.label,
                "spaces": [{"name": name, "untrained": name in run.untrained} for name in spaces],
                "subjects": run.subjects,
                "n_models": len(run.models),
                "settings": ", ".join(f"{k} = {_short(v)}" for k, v in sorted(settings.items())),
                "command": meta.get("provenance", {}).get("command", "not recorded"),
            }
        )
    return fits


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 4:
        return f"{_short(value[0])} … {_short(value[-1])} ({len(value)} values)"
    return f"{value:g}" if isinstance(value, float) else str(value)


def list_exclusions(inputs: Inputs, report: ScoreReport) -> list[dict[str, str]]:
    """Return what was left out of the numbers, and why."""
    exclusions = _vertex_exclusions(inputs, report)
    exclusions += [(f"subject {subject.name}", "has no fits") for subject in inputs.unfitted]
    for line in unfinished_lines(report.caveats.unfinished):
        item, _, fix = line.partition(": ")
        exclusions.append((item, f"the run was not finished: {fix}"))
    for name, runs in report.coverage["lacking"].items():
        exclusions.append((f"subject {name}", f"has no fit of {', '.join(runs)}"))
    for kind, noun in (("test_responses", "test responses"), ("ceilings", "noise ceilings")):
        if files := report.absent[kind]:
            item = f"{plural(len(files), 'file')}, such as {files[0]}"
            exclusions.append((item, f"{noun} are not there"))
    exclusions += _empty_rois(inputs.subjects)
    return [{"what": item, "why": reason} for item, reason in exclusions]


def _vertex_exclusions(inputs: Inputs, report: ScoreReport) -> list[tuple[str, str]]:
    counts = report.whole_counts.get(inputs.pooled)
    if counts is None:
        return []
    source = "of the ensemble" if len(inputs.runs) > 1 else "of the fit"
    exclusions = [
        (f"{counts['n_excluded']} of {plural(counts['n_vertices'], 'vertex')}",
         "their noise ceiling is 0: in no mean"),
        (f"{plural(counts['n_clipped'], 'vertex')} {source}",
         "kept, but their score was cut at 100 %, as the challenge has it, which biases means "
         "downwards"),
    ]  # fmt: skip
    if n := counts["n_constant"]:
        reason = "kept: one prediction for all pictures counts as r = 0"
        exclusions.append((f"{plural(n, 'vertex')} {source}", reason))
    if n := counts["n_constant_measured"]:
        reason = "kept: measured responses that are constant count as r = 0"
        exclusions.append((f"{n} vertices", reason))
    return exclusions


def _empty_rois(subjects: Sequence[Subject]) -> list[tuple[str, str]]:
    sides = list(product(subjects, HEMISPHERES))
    empty: dict[str, list[str]] = {}
    for subject, h in sides:
        for roi in subject.rois(h):
            if not roi.vertices.size:
                empty.setdefault(roi.name, []).append(f"{subject.name} {h}")
    owners = {
        name: "every subject" if len(places) == len(sides) else ", ".join(places)
        for name, places in empty.items()
    }
    reason = "the region has no vertices: a dash in the table"
    return [(f"{name} of {owner}", reason) for name, owner in owners.items()]


def banners(report: ScoreReport) -> list[str]:
    """Return the warnings at the top of the page."""
    lines = [f"WARNING: {line}." for line in score_warnings(report)]
    if simulated := report.caveats.simulated:
        lines.append(f"SIMULATED responses, subjects {', '.join(simulated)}: the figures say "
                     "nothing about brains.")  # fmt: skip
    if untrained := report.caveats.untrained_spaces:
        lines.append(f"UNTRAINED networks, random weights: {', '.join(untrained)}.")
    if report.coverage["lacking"]:
        lines.append("Columns cover different subjects: do not compare them where all subjects "
                     "are pooled.")  # fmt: skip
    if report.absent["ceilings"]:
        lines.append("Noise ceilings are missing: what needs them is a dash.")
    return lines


def report_command(options: Mapping[str, Any]) -> str:
    """Return the shell command that makes the report again, without the options that are None."""
    words = [".venv/bin/python", "-m", "evaluate", "report"]
    for name, value in options.items():
        if value is not None:
            words.append(f"--{name}")
            words += [str(Path(v) if name in {"data", "out"} else v) for v in
                      (value if isinstance(value, list) else [value])]  # fmt: skip
    return shlex.join(words)


def response_unit(subjects: Sequence[Subject]) -> str:
    """Return a sentence on the unit of the responses, as far as it is known."""
    if all(subject.simulated or _published(subject) for subject in subjects):
        return "Responses are in standard deviations of a scan session."
    return "Responses are in the unit of the data's files."


def _published(subject: Subject) -> bool:
    """Return whether a subject has the sizes of the challenge's own data, which are z-scored."""
    counts = PUBLISHED.get(subject.name)
    sizes = (len(subject.pictures("train")), *(subject.n_vertices(h) for h in HEMISPHERES))
    return counts is not None and sizes == (counts.train, counts.lh, counts.rh)
