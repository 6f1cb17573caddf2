"""Scores of a submission, as the challenge's server computed them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from base import decimal, plural, provenance, run_hint, say, sha256_files
from challenge import (
    HEMISPHERES,
    ROI_CLASSES,
    SMALLEST_CEILING,
    Subject,
    SubjectChoice,
    find_subjects,
)
from challenge.dataset import print_missing_classes
from challenge.layout import labels_file, mapping_file
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import find_leaked, leak_lines, pictures_line
from evaluate.fits.inputs import report_made_ceilings
from evaluate.fits.sidecar import write_json
from evaluate.scoring.vertex_scores import OFFICIAL
from evaluate.submission.inspection import inspect
from evaluate.submission.leaderboard import SubmissionScores, score_submission
from evaluate.submission.other_benchmarks import EXPLAINED, SOURCES, check_definitions

SIDES = (*HEMISPHERES, "all")
WIDTH = 20
OTHER_METRICS = ("pearson_r", "r2", "unclipped")
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant", "n_constant_measured")


def score_submission_file(
    submission: Path,
    data: Path,
    json: Path | None,
    subject: SubjectChoice,
    ceilings: Path | None,
    rois: bool,
    also: list[str] | None,
) -> None:
    """Score any submission against test responses, as the challenge's server did."""
    check_definitions(also or ())
    subjects = _with_responses(data, subject, ceilings)
    findings = inspect(submission, subjects, strangers=True)
    if findings.faults:
        raise EvaluateError(
            f"{submission}: cannot be scored, {plural(len(findings.faults), 'fault')}:\n- "
            + "\n- ".join(findings.faults)
        )
    marks = score_submission(
        submission, subjects, [s for s in subjects if rois or _has_label_maps(s)]
    )
    if rois:
        print_missing_classes(subjects)
    for line in findings.suspicions:
        say(f"WARNING: {line}")
    for line in findings.remarks:
        say(line)
    _report(marks, subjects, rois, also or ())
    if json is not None:
        _write(json, marks, submission, subjects, also or ())
        say(f"-> {json}")


def _with_responses(data: Path, subject: SubjectChoice, ceilings: Path | None) -> list[Subject]:
    """Find the subjects with test responses."""
    if ceilings is not None and not ceilings.is_dir():
        raise EvaluateError(
            f"{ceilings}: no such folder: make it with {run_hint('evaluate ceilings', data=data)}"
        )
    candidates = [replace(s, ceilings=ceilings) for s in find_subjects(data, subject)]
    subjects = [s for s in candidates if s.has_test_responses]
    if not subjects:
        raise EvaluateError(
            f"{data}: holds no test responses (such as {candidates[0].folder.name}/test_split/"
            "test_fmri/lh_test_fmri.npy); the organisers keep them: give a directory that has "
            f"them, or score fits on held-out pictures with {run_hint('evaluate')}"
        )
    if without := [s.name for s in candidates if s not in subjects]:
        say(f"subjects {', '.join(without)}: no test responses in {data}, not scored")
    for current in subjects:
        if (n := len(current.pictures("test"))) < 2:
            raise EvaluateError(
                f"subject {current.name}: {n} test picture has no correlation: score at least two, "
                "or choose others with --subject"
            )
    return subjects


def _has_label_maps(subject: Subject) -> bool:
    """Return whether all label maps exist, so that the JSON can include ROIs."""
    maps = [labels_file(subject.folder, h, c) for h in HEMISPHERES for c in ROI_CLASSES]
    names = [mapping_file(subject.folder, roi_class) for roi_class in ROI_CLASSES]
    return all(file.is_file() for file in (*maps, *names))


def _report(
    marks: SubmissionScores, subjects: Sequence[Subject], rois: bool, also: Sequence[str]
) -> None:
    report_made_ceilings(subjects, "test")
    official = marks.mean(OFFICIAL) is not None
    metric, digits = (OFFICIAL, 2) if official else ("pearson_r", 3)
    lines = ["", f"{'score' if official else 'pearson_r':<{WIDTH}}" + _cells(["lh", "rh", "both"])]
    for subject in [*marks.subjects, "all"]:
        values = [marks.mean(metric, side, folder=subject) for side in SIDES]
        lines.append(f"{subject:<{WIDTH}}" + _cells([decimal(value, digits) for value in values]))
    if rois:
        lines += ["", " " * (WIDTH + 3 * 10) + _cells(also, 22)] if also else [""]
        for roi in marks.rois:
            label = f"{roi[0]}, all" if roi[1] == "all" else f"  {roi[1]}"
            cells = [decimal(marks.mean(metric, side, roi), digits) for side in SIDES]
            defined = [decimal(marks.define(name, roi), 3) for name in also]
            lines.append(f"{label:<{WIDTH}}" + _cells(cells) + _cells(defined, 22))
    say("\n".join([*lines, "", *_notes(marks, subjects, official, also)]))


def _notes(
    marks: SubmissionScores, subjects: Sequence[Subject], official: bool, also: Sequence[str]
) -> list[str]:
    figures = {"r^2": ("r2", 4)}
    if official:
        lines = [
            "score: mean over vertices of r^2 / noise ceiling, in percent, cut at 100",
            "chance: predictions unrelated to the pictures score "
            f"{decimal(marks.mean('chance'), 2)} on all vertices",
        ]
        figures = {"r": ("pearson_r", 4), **figures, "score without the cut": ("unclipped", 2)}
    else:
        without = [s.name for s in subjects if s.noise_ceiling("lh", "test") is None]
        reason = f"no noise ceilings of subjects {', '.join(without)}" if without else (
            "all noise ceilings are 0")  # fmt: skip
        lines = [f"pearson_r: mean over vertices, NOT noise-normalised: {reason}"]
    texts = [f"{name} {decimal(marks.mean(key), n)}" for name, (key, n) in figures.items()]
    lines.append(f"beside it, over the same vertices: {', '.join(texts)}")
    whole = marks.tally()
    assert whole is not None  # as there is at least one subject
    lines.append(
        f"{whole.n_vertices} vertices: {whole.n_excluded} of ceiling 0 (below "
        f"{SMALLEST_CEILING:g}) in no mean, "
        f"{whole.n_clipped} cut at 100, {whole.n_constant} of a constant prediction, r = 0"
    )
    if n := whole.n_constant_measured:
        lines.append(f"WARNING: at {n} vertices that count, the measured responses are constant: "
                     "r = 0, whatever is predicted")  # fmt: skip
    for name in also:
        value = decimal(marks.define(name), 4)
        lines.append(f"{name}: {value} ({EXPLAINED[name]}; {SOURCES[name]})")
    lines.append(pictures_line({s.name: len(s.pictures("test")) for s in subjects}, "test"))
    lines += [f"WARNING: {line}" for line in leak_lines(find_leaked(subjects))]
    if simulated := [subject.name for subject in subjects if subject.simulated]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    return lines


def _cells(cells: Sequence[str], width: int = 8) -> str:
    return "".join(f"  {cell:>{width}}" for cell in cells)


def _write(
    path: Path,
    marks: SubmissionScores,
    submission: Path,
    subjects: Sequence[Subject],
    also: Sequence[str],
) -> None:
    def counts(side: str, subject: str) -> dict[str, int]:
        tally = marks.tally(side, folder=subject)
        return {name: getattr(tally, name) for name in COUNTS}

    about = {
        "beside": {name: _means(marks, name) for name in OTHER_METRICS},
        "also": {name: marks.define(name) for name in also},
        "rois": {"/".join(roi): marks.mean(OFFICIAL, roi=roi) for roi in marks.rois},
        "counts": _by_side(marks, counts),
        "submission": str(submission),
        "submission_sha256": sha256_files([submission])[0],
        "chance": marks.mean("chance"),
        "simulated": [subject.name for subject in subjects if subject.simulated],
        "leaked": find_leaked(subjects),
        "provenance": provenance(),
    }
    write_json(path, _means(marks, OFFICIAL) | {"about": about}, seal=False, sort=False)


def _means(marks: SubmissionScores, metric: str) -> dict[str, Any]:
    """Return means in the layout of the challenge's server; None where there is no value."""
    means = _by_side(marks, lambda side, subject: marks.mean(metric, side, folder=subject))
    return {"all": marks.mean(metric), **means}


def _by_side(marks: SubmissionScores, value: Callable[[str, str], Any]) -> dict[str, Any]:
    """Return values by subject and hemisphere."""
    values: dict[str, dict[str, Any]] = {subject: {} for subject in marks.subjects}
    for subject, side in product(marks.subjects, HEMISPHERES):
        values[subject][side] = value(side, subject)
    return values
