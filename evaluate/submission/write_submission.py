"""The submission: predictions of all fits combined in a zip, and checked."""

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from base import plural, progress, provenance, replacing, run_hint, say, sha256_files
from cache import digest
from challenge import HEMISPHERES, Subject
from evaluate.arrays import Array, Singles
from evaluate.errors import EvaluateError
from evaluate.fits.completeness import Unfinished, coverage, coverage_lines, unfinished_lines
from evaluate.fits.hemisphere import load_hemisphere
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import label_fits
from evaluate.fits.sidecar import read_if_current, write_json
from evaluate.scoring.ensemble import combine, compute_strengths, rule_code
from evaluate.scoring.member_selection import Member
from evaluate.submission.expected_files import member_name
from evaluate.submission.inspection import faults
from evaluate.tables.member_lines import describe_members, summarise_members


def write_submission(
    inputs: Inputs, roi_classes: Sequence[str] | None, ensemble: str, allow_incomplete: bool
) -> None:
    """Combine all fits into submission.zip, for every subject and vertex."""
    _check_subjects(inputs)
    unfinished = inputs.caveats.unfinished
    if unfinished and not allow_incomplete:
        raise EvaluateError(
            "\n".join([*unfinished_lines(unfinished), _alternatives(inputs, unfinished)])
        )
    settings = {"ensemble": ensemble, "roi_classes": sorted(set(roi_classes or ()))}
    made_by = {"kind": "submission", "schema": 3, "rule": rule_code(ensemble)}
    key = digest({**made_by, "settings": settings, **inputs.key})
    path, sidecar = (inputs.out / f"submission{inputs.suffix}.{type_}" for type_ in ("zip", "json"))
    if (previous := read_if_current(path, sidecar, key)) is not None:
        say(f"{path}: nothing has changed since it was made, nothing recomputed")
        _report(path, inputs, previous)
        return
    with replacing(path) as temporary:
        n_filled, members = _write(temporary, inputs, roi_classes, ensemble)
        if wrong := faults(temporary, inputs.subjects):
            raise EvaluateError("the submission did not pass its check:\n- " + "\n- ".join(wrong))
    about = {
        "inputs": inputs.key,
        "runs": {run.name: label_fits(inputs.runs)[run.name].columns for run in inputs.runs},
        "untrained": inputs.caveats.untrained_spaces,
        **{name: getattr(inputs.caveats, name) for name in ("simulated", "leaked", "started")},
        "coverage": coverage(inputs.subjects, inputs.runs),
        "key": key,
        "sha256": sha256_files([path])[0],
        "settings": settings,
        "n_filled": n_filled,
        "members": summarise_members(inputs.runs, members),
        "unfinished": unfinished,
        "provenance": provenance(),
    }
    write_json(sidecar, about)
    _report(path, inputs, about)


def _alternatives(inputs: Inputs, unfinished: Sequence[Unfinished]) -> str:
    """Return a hint on how to leave out the runs that lack models, or to accept them."""
    incomplete = {entry["run"] for entry in unfinished}
    whole = [run.name for run in inputs.runs if run.name not in incomplete]
    alternative = run_hint("submission", fits=whole or "…")
    anyway = run_hint("evaluate submission", data=None, out=None, allow_incomplete="true")
    return (
        f"(or leave the run out by naming the others, {alternative}; to take it as it is, {anyway})"
    )


def _check_subjects(inputs: Inputs) -> None:
    folders = {s.name: s.folder for s in (*inputs.subjects, *inputs.unfitted)}
    missing: dict[str, list[str]] = {}
    for name, hemisphere in product(sorted(folders), HEMISPHERES):
        if not any(run.models_of(name, hemisphere) for run in inputs.runs):
            missing.setdefault(name, []).append(hemisphere)
    if missing:
        subjects = "; ".join(f"subject {n} ({', '.join(sides)})" for n, sides in missing.items())
        data = min(folders.values()).parent
        raise EvaluateError(
            f"no fits of {subjects}, and a submission holds all subjects of {data}: "
            f"run `{run_hint('fit', subject=next(iter(missing)))}`, or `{run_hint('fit')}` for all"
        )


def _write(
    path: Path, inputs: Inputs, roi_classes: Sequence[str] | None, ensemble: str
) -> tuple[dict[str, int], dict[str, dict[str, Member]]]:
    filled, members = {}, {}
    sides = [(subject, name) for subject in inputs.subjects for name in HEMISPHERES]
    with zipfile.ZipFile(path, "w") as archive:
        for subject, name in progress(sides, desc="predicting", unit="hemisphere"):
            side = f"{subject.name} {name}"
            predictions, filled[side], members[side] = _predict(
                inputs, subject, name, roi_classes, ensemble
            )
            add_array(archive, member_name(subject, name), predictions)
    return filled, members


def _predict(
    inputs: Inputs, subject: Subject, name: str, roi_classes: Sequence[str] | None, ensemble: str
) -> tuple[Singles, int, dict[str, Member]]:
    hemisphere = load_hemisphere(subject, name, inputs.runs, inputs.responses[subject.name, name])
    assert hemisphere is not None  # as _check_subjects passed
    all_models = range(len(hemisphere.models))
    strengths = compute_strengths(hemisphere, rule=ensemble, roi_classes=roi_classes)
    combination = combine(hemisphere, "test", strengths, all_models, roi_classes)
    expected = (len(subject.pictures("test")), subject.n_vertices(name))
    predictions, again = combination.predictions, run_hint("fit", subject=subject.name)
    if predictions.shape != expected or predictions.dtype != np.float32:
        raise EvaluateError(
            f"subject {subject.name} {name}: predictions are {predictions.dtype} of shape "
            f"{predictions.shape}, expected float32 of {expected}: run {again} again"
        )
    if not combination.covered.all():
        raise EvaluateError(
            f"subject {subject.name} {name}: no fit covers {int((~combination.covered).sum())} of "
            f"{expected[1]} vertices (first: {int(np.argmin(combination.covered))}): run "
            f"`{again}` to the end, for all ROI classes"
        )
    if not np.isfinite(predictions).all():
        raise EvaluateError(
            f"subject {subject.name} {name}: the combined predictions overflow float32: "
            f"run {again} again"
        )
    members = dict(zip(hemisphere.runs, strengths.selection.by_fit(), strict=True))
    return predictions, combination.n_filled, members


def add_array(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    """Add an array to a zip as .npy, deflated; equal arrays give equal bytes."""
    # A fixed time and system, so that the bytes do not depend on the day or machine.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(entry, "w") as stream:
        np.lib.format.write_array(
            stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
        )


def _report(path: Path, inputs: Inputs, about: dict[str, Any]) -> None:
    if filled := sum(about["n_filled"].values()):
        say(f"{plural(filled, 'vertex')} in none of the chosen ROI classes, filled from the others")
    if inputs.suffix:
        names = ", ".join(subject.name for subject in inputs.subjects)
        several = "s" * (len(inputs.subjects) > 1)
        say(f"holds subject{several} {names} alone: the challenge takes all subjects in one zip")
    # The zip holds predictions of test pictures, whichever are scored.
    caveats = replace(inputs.caveats, split="test", made_ceilings=[])
    for line in caveats.warning_lines():
        say(f"WARNING: {line}")
    for line in describe_members(about["members"]):
        say(line)
    if uneven := coverage_lines(about["coverage"], "submission"):
        say("\n".join(["the ensemble is of fewer fits for some subjects:", *uneven]))
    for line in caveats.origin_lines():
        say(line)
    runs = ", ".join(run.name for run in inputs.runs)
    say(f"-> {path}: {plural(len(inputs.subjects), 'subject')} from {runs}, "
        f"{path.stat().st_size / 1e6:.1f} MB, checked")  # fmt: skip
