"""`python -m evaluate score`: anyone's zip, scored as the challenge's server did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any

from base import convert_paths, decimal, plural, provenance, replacing, run_hint, say, sha256_files
from challenge import (
    HEMISPHERES,
    ROI_CLASSES,
    SMALLEST_CEILING,
    Subject,
    SubjectChoice,
    find_subjects,
)
from challenge.inputs import print_missing_classes
from challenge.layout import labels_file, mapping_file
from evaluate.commands.check import inspect
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import find_leaked, leak_lines, pictures_line
from evaluate.fits.inputs import say_made_ceilings
from evaluate.scoring.vertex_scores import OFFICIAL
from evaluate.submission.leaderboard import Marks, mark
from evaluate.submission.other_benchmarks import EXPLAINED, SOURCES, check_known

SIDES = (*HEMISPHERES, "all")
BESIDE = ("pearson_r", "r2", "unclipped")
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant", "n_constant_measured")


@convert_paths
def score(
    submission: Path,
    data: Path = Path("data"),
    json: Path | None = None,
    subject: SubjectChoice = "all",
    ceilings: Path | None = None,
    rois: bool = False,
    also: list[str] | None = None,
) -> None:
    """Score anyone's submission against test responses, as the challenge's server did.

    Parameters
    ----------
    submission : Path
        The zip; whatever `check` calls a fault, other than of order, is refused.
    data : Path
        A directory like the challenge's that holds test pictures, responses and noise ceilings;
        the training split and masks need not be there.
    json : Path, optional
        Where to write the scores, such as {"all": 40.97, "subj01": {"lh": 40.1, "rh": 38.3}}, and
        what they are made of.
    subject : str, int or sequence of them
        "all" that have test responses, or the numbers of one or several: "01", "01 02".
    ceilings : Path, optional
        A folder of ceilings from `python -m evaluate ceilings`, before those of the data.
    rois : bool
        Whether to print every ROI, for which the data must hold all label maps.
    also : list of str, optional
        What is called noise-normalised elsewhere: algonauts2021, brainscore_allen2022.

    Raises
    ------
    EvaluateError
        If the zip has faults, or there are no test responses, or only one test picture.
    """
    check_known(also or ())
    subjects = _with_responses(data, subject, ceilings)
    found = inspect(submission, subjects, strangers=True)
    if found.faults:
        raise EvaluateError(
            f"{submission}: cannot be scored, {plural(len(found.faults), 'fault')}:\n- "
            + "\n- ".join(found.faults)
        )
    marks = mark(submission, subjects, [s for s in subjects if rois or _has_label_maps(s)])
    if rois:
        print_missing_classes(subjects)
    for line in found.suspicions:
        say(f"WARNING: {line}")
    for line in found.remarks:
        say(line)
    _report(marks, subjects, rois, also or ())
    if json is not None:
        _write(json, marks, submission, subjects, also or ())
        say(f"-> {json}")


def _with_responses(data: Path, subject: SubjectChoice, ceilings: Path | None) -> list[Subject]:
    if ceilings is not None and not ceilings.is_dir():
        raise EvaluateError(
            f"{ceilings}: no such folder: make it with {run_hint('evaluate ceilings', data=data)}"
        )
    there = [replace(found, ceilings=ceilings) for found in find_subjects(data, subject)]
    subjects = [found for found in there if found.has_test_responses]
    if not subjects:
        raise EvaluateError(
            f"{data}: holds no test responses (such as {there[0].folder.name}/test_split/test_fmri/"
            "lh_test_fmri.npy); the organisers keep them: give a directory that has them, or score "
            f"fits on held-out pictures with {run_hint('evaluate')}"
        )
    if without := [found.name for found in there if found not in subjects]:
        say(f"subjects {', '.join(without)}: no test responses in {data}, not scored")
    for found in subjects:
        if (n := len(found.pictures("test"))) < 2:
            raise EvaluateError(
                f"subject {found.name}: {n} test picture has no correlation: score at least two, "
                "or choose others with --subject"
            )
    return subjects


def _has_label_maps(subject: Subject) -> bool:
    """Return whether all label maps are there, so that the JSON can hold ROIs unasked."""
    maps = [labels_file(subject.folder, h, c) for h in HEMISPHERES for c in ROI_CLASSES]
    names = [mapping_file(subject.folder, roi_class) for roi_class in ROI_CLASSES]
    return all(file.is_file() for file in (*maps, *names))


def _report(marks: Marks, subjects: Sequence[Subject], rois: bool, also: Sequence[str]) -> None:
    say_made_ceilings(subjects, "test")
    shown = OFFICIAL if marks.mean(OFFICIAL) is not None else "pearson_r"
    official = shown == OFFICIAL
    digits = 2 if official else 3
    width = 20
    lines = ["", f"{'score' if official else 'pearson_r':<{width}}" + _cells(["lh", "rh", "both"])]
    for of in [*marks.subjects, "all"]:
        values = [marks.mean(shown, side, of=of) for side in SIDES]
        lines.append(f"{of:<{width}}" + _cells([decimal(value, digits) for value in values]))
    if rois:
        lines += ["", " " * (width + 3 * 10) + _cells(also, 22)] if also else [""]
        for roi in marks.rois:
            label = f"{roi[0]}, all" if roi[1] == "all" else f"  {roi[1]}"
            cells = [decimal(marks.mean(shown, side, roi), digits) for side in SIDES]
            defined = [decimal(marks.define(name, roi), 3) for name in also]
            lines.append(f"{label:<{width}}" + _cells(cells) + _cells(defined, 22))
    say("\n".join(lines))
    say("")
    for line in _notes(marks, subjects, official, also):
        say(line)


def _notes(
    marks: Marks, subjects: Sequence[Subject], official: bool, also: Sequence[str]
) -> list[str]:
    beside: tuple[tuple[str, str, int], ...]
    if official:
        lines = [
            "score: mean over vertices of r^2 / noise ceiling, in percent, cut at 100",
            "chance: predictions unrelated to the pictures score "
            f"{decimal(marks.mean('chance'), 2)} on all vertices",
        ]
        beside = (
            ("r", "pearson_r", 4),
            ("r^2", "r2", 4),
            ("score without the cut", "unclipped", 2),
        )
    else:
        lacking = [s.name for s in subjects if s.noise_ceiling("lh", "test") is None]
        lines = [
            "pearson_r: mean over vertices, NOT noise-normalised: "
            + (f"no noise ceilings of subjects {', '.join(lacking)}" if lacking
               else "all noise ceilings are 0")
        ]  # fmt: skip
        beside = (("r^2", "r2", 4),)
    figures = ", ".join(f"{name} {decimal(marks.mean(key), n)}" for name, key, n in beside)
    lines.append(f"beside it, over the same vertices: {figures}")
    whole = marks.tally()
    assert whole is not None  # there is a subject at least
    lines.append(
        f"{whole.n_vertices} vertices: {whole.n_excluded} of ceiling 0 (below "
        f"{SMALLEST_CEILING:g}) in no mean, "
        f"{whole.n_clipped} cut at 100, {whole.n_constant} of a constant prediction, r = 0"
    )
    if whole.n_constant_measured:
        lines.append(
            f"WARNING: at {whole.n_constant_measured} vertices that count, the measured responses "
            "are constant: r = 0, whatever is predicted"
        )
    lines += [
        f"{name}: {decimal(marks.define(name), 4)} ({EXPLAINED[name]}; {SOURCES[name]})"
        for name in also
    ]
    lines.append(pictures_line({s.name: len(s.pictures("test")) for s in subjects}, "test"))
    lines += [f"WARNING: {line}" for line in leak_lines(find_leaked(subjects))]
    if simulated := [subject.name for subject in subjects if subject.simulated]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    return lines


def _cells(cells: Sequence[str], width: int = 8) -> str:
    return "".join(f"  {cell:>{width}}" for cell in cells)


def _write(
    path: Path, marks: Marks, submission: Path, subjects: Sequence[Subject], also: Sequence[str]
) -> None:
    held = _means(marks, OFFICIAL) | {
        "about": {
            "beside": {name: _means(marks, name) for name in BESIDE},
            "also": {name: marks.define(name) for name in also},
            "rois": {
                f"{roi_class}/{roi}": marks.mean(OFFICIAL, roi=(roi_class, roi))
                for roi_class, roi in marks.rois
            },
            "counts": {
                of: {
                    side: {name: getattr(marks.tally(side, of=of), name) for name in COUNTS}
                    for side in HEMISPHERES
                }
                for of in marks.subjects
            },
            "submission": str(submission),
            "submission_sha256": sha256_files([submission])[0],
            "chance": marks.mean("chance"),
            "simulated": [subject.name for subject in subjects if subject.simulated],
            "leaked": find_leaked(subjects),
            "provenance": provenance(),
        }
    }
    with replacing(path) as temporary:
        temporary.write_text(dumps(held, indent=1) + "\n")


def _means(marks: Marks, metric: str) -> dict[str, Any]:
    """Lay means out as the challenge's server did; None, null in JSON, where there is none."""
    return {
        "all": marks.mean(metric),
        **{
            of: {side: marks.mean(metric, side, of=of) for side in HEMISPHERES}
            for of in marks.subjects
        },
    }
