"""The report: scores, maps and examples on one page, written again when something changed."""

from pathlib import Path

from base import provenance, replacing, run_hint, say, sha256_files
from cache import digest
from challenge import SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.inputs import Inputs, gather
from evaluate.fits.sidecar import read_if_current, write_json
from evaluate.fits.study_rows import read_study, row_names
from evaluate.maps.ablation_values import ablation_files
from evaluate.maps.values import check_outlined
from evaluate.report.content import gather_content
from evaluate.report.page import render_page
from evaluate.scoring.all_subjects import Settings
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.scoring.score_report import ScoreReport
from evaluate.tables.write_scores import score_inputs

# Packages that draw the page: when their code changes, the page is written again.
DRAWING = ("report", "maps")


def write_report(
    data: Path,
    out: Path,
    subject: SubjectChoice,
    split: str,
    roi_classes: list[str] | None,
    fits: list[str] | None,
    seed: int,
    ensemble: str,
    outlines: str,
    study: str,
) -> None:
    """Write OUT/report/index.html: scores, maps, examples and provenance on one page."""
    check_outlined(outlines)
    subject = subject if isinstance(subject, str | int) else " ".join(map(str, subject))
    fits = _study_fits(out, study, fits) if study else fits
    options = {"data": data, "out": out, "subject": subject, "split": split,
               "roi_classes": roi_classes, "fits": fits, "seed": seed,
               "ensemble": ensemble, "outlines": outlines}  # fmt: skip
    settings = Settings(roi_classes, ensemble, Resampling(seed=seed)).validate()
    inputs = gather(data, out, subject, fits, roi_classes, split)
    scores = score_inputs(inputs, settings, split)
    key = _key(inputs, scores, outlines)
    page = out / f"report{inputs.suffix}" / "index.html"
    sidecar = page.with_name("report.json")
    if read_if_current(page, sidecar, key) is not None:
        say(f"{page}: nothing has changed since it was made, nothing recomputed")
    else:
        text = render_page(gather_content(inputs, scores, options))
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        record = {"key": key, "sha256": sha256_files([page])[0], "provenance": provenance()}
        write_json(sidecar, record)
    say(f"-> {page}: {page.stat().st_size / 1e6:.1f} MB, open it in any browser")


def _study_fits(out: Path, study: str, fits: list[str] | None) -> list[str]:
    """Return the fits of the rows of a study."""
    if fits:
        raise EvaluateError(f"--study {study} and --fits: expected only one of them")
    fit_names = [row["fit"] for row in read_study(out, study)["rows"] if row["fit"]]
    if not fit_names:
        raise EvaluateError(
            f"--study {study}: no row is fitted: {run_hint('compare-encoders', study=study)}"
        )
    return list(dict.fromkeys(fit_names))


def _key(inputs: Inputs, report: ScoreReport, outlines: str) -> str:
    """Digest everything that the page depends on."""
    files = [file for s in inputs.subjects for file in ablation_files(inputs.out, s.name)]
    folders = [Path(__file__).parent.with_name(name) for name in DRAWING]
    code_files = sorted(f for folder in folders for f in folder.rglob("*.*") if f.suffix != ".pyc")
    return digest(
        {
            "kind": "report",
            "code": sha256_files(code_files),
            "without": [s.name for s in inputs.unfitted],
            "scores": [report.key, report.sha256],
            "ablations": dict(zip(map(str, files), sha256_files(files), strict=True)),
            "outlines": outlines,
            "rows": row_names(inputs.out),
        }
    )
