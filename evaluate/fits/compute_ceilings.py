"""Noise ceilings from NSD's ncsnr, or from repeated trials."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from base import choose_from, progress, provenance, replacing, say, sha256_files
from challenge import HEMISPHERES, Subject, SubjectChoice, find_subjects, has_ceiling, noise_ceiling
from challenge.ceilings.ncsnr import read_ncsnr, read_repeats
from challenge.ceilings.noise_ceiling import noise_share
from challenge.ceilings.reliability import count_repeats, nsd_ncsnr, split_half
from challenge.files import open_array
from challenge.layout import SPLITS, ceiling_file
from challenge.rois.regions import read_mask
from evaluate.arrays import Array, Floats, Indices
from evaluate.errors import EvaluateError, check_seed
from evaluate.fits.inputs import CEILINGS
from evaluate.fits.sidecar import write_json

ESTIMATORS = ("nsd", "split_half")


def compute_ceilings(
    data: Path,
    out: Path,
    ncsnr: str | None,
    repeats: str | int | None,
    trials: str | None,
    estimator: str,
    split: str,
    subject: SubjectChoice,
    splits: int,
    seed: int,
) -> None:
    """Write noise ceilings to OUT/ceilings, where `scores` finds them; DATA is not changed."""
    _check_arguments(ncsnr, repeats, trials, estimator, split)
    check_seed(seed)
    for current in find_subjects(data, subject):
        values, about = {}, {}
        for hemisphere in progress(HEMISPHERES, desc=f"ceilings {current.name}", unit="hemisphere"):
            fields = {"subject": current.name, "hemisphere": hemisphere}
            if ncsnr is not None:
                file = Path(ncsnr.format(**fields))
                n_repeats = read_repeats(
                    str(repeats).format(**fields), current.name, current.nsd_ids(split)
                )
                ratios = read_ncsnr(file, read_mask(current.folder, hemisphere))
                values[hemisphere] = noise_ceiling(ratios, n_repeats)
            else:
                file = Path(str(trials).format(**fields))
                measured = _open_trials(file, current, hemisphere, split)
                n_repeats = count_repeats(measured)
                values[hemisphere] = _estimate(measured, n_repeats, estimator, splits, seed)
            about[hemisphere] = _describe(file, values[hemisphere], n_repeats)
        made_by = "ncsnr" if ncsnr is not None else estimator
        folder = _write(out / CEILINGS, current, split, values, {"made_by": made_by, **about})
        _report(current, split, about)
        say(f"-> {folder}")


def _check_arguments(
    ncsnr: str | None, repeats: object, trials: str | None, estimator: str, split: str
) -> None:
    if (ncsnr is None) == (trials is None):
        raise EvaluateError(
            "expected either --ncsnr with NSD's files or --trials with single trials"
        )
    if (ncsnr is None) != (repeats is None):
        raise EvaluateError(
            "--repeats is needed with --ncsnr, and only there: the number of times that each "
            "picture was shown, such as 3, or a table; from --trials it is counted"
        )
    for name, value, choices in (("estimator", estimator, ESTIMATORS), ("split", split, SPLITS)):
        if value not in choices:
            raise EvaluateError(f"unknown {name} {value!r}: {choose_from(value, choices)}")
    for pattern in (ncsnr, trials):
        try:
            (pattern or "").format(subject="01", hemisphere="lh")
        except (KeyError, ValueError, IndexError) as error:
            raise EvaluateError(
                f"{pattern}: expected no braces but those of {{subject}} and {{hemisphere}}"
            ) from error
        if pattern is not None and "{hemisphere}" not in pattern:
            raise EvaluateError(
                f"{pattern}: expected {{hemisphere}} in it, as each hemisphere has its own file"
            )


def _open_trials(file: Path, subject: Subject, hemisphere: str, split: str) -> Array:
    """Open single-trial responses (n_pictures, n_trials, n_vertices) and check their shape."""
    array = open_array(file)
    expected = (len(subject.pictures(split)), subject.n_vertices(hemisphere))
    if array.ndim != 3 or (array.shape[0], array.shape[2]) != expected:
        raise EvaluateError(
            f"{file}: shape {array.shape}, expected ({expected[0]}, trials, {expected[1]}): the "
            f"{split} pictures of {subject.folder}, any number of trials, the vertices of its mask"
        )
    return array


def _estimate(trials: Array, n_repeats: Indices, estimator: str, splits: int, seed: int) -> Floats:
    if estimator == "split_half":
        return split_half(trials, splits, seed)
    return noise_ceiling(nsd_ncsnr(trials), n_repeats)


def _describe(file: Path, values: Floats, n_repeats: Indices) -> dict[str, Any]:
    """Summarise ceilings and their source, as JSON; raise if one is outside 0..1."""
    if not ((values >= 0) & (values <= 1)).all():
        raise EvaluateError(
            f"{file}: gives ceilings outside 0..1: check that it holds ncsnr or trials as described"
        )
    times, counts = np.unique(n_repeats, return_counts=True)
    return {
        "source": str(file),
        "source_sha256": sha256_files([file])[0],
        "shown": {str(t): int(n) for t, n in zip(times, counts, strict=True)},
        "k": noise_share(n_repeats),
        "n_vertices": len(values),
        "n_zero": int((~has_ceiling(values)).sum()),
        "median": float(np.median(values)),
        "largest": float(values.max()),
    }


def _write(
    folder: Path, subject: Subject, split: str, values: dict[str, Floats], about: dict[str, Any]
) -> Path:
    files = {h: ceiling_file(folder / subject.folder.name, h, split) for h in values}
    for hemisphere, file in files.items():
        content = BytesIO()
        np.save(content, values[hemisphere])
        with replacing(file) as temporary:
            temporary.write_bytes(content.getvalue())
    into = next(iter(files.values())).parent
    write_json(into / "noise_ceiling.json", {"split": split, **about, "provenance": provenance()})
    return into


def _report(subject: Subject, split: str, about: dict[str, Any]) -> None:
    for hemisphere, summary in about.items():
        repeats = ", ".join(f"{n} shown {times} x" for times, n in summary["shown"].items())
        say(
            f"subject {subject.name} {hemisphere}, {split} pictures: {summary['n_vertices']} "
            f"ceilings, median {summary['median']:.3f}, largest {summary['largest']:.3f}, "
            f"{summary['n_zero']} are 0; k = {summary['k']:.4f} ({repeats})"
        )
