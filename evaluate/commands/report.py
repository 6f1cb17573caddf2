"""`python -m evaluate report`: scores, maps and examples on one page, rewritten on changes."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@convert_paths
def report(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
    outlines: str = "streams",
    study: str = "",
) -> None:
    """Write OUT/report/index.html: scores, maps, examples and provenance on one page.

    Scores are computed first if they are missing or out of date. The page needs no network and no
    other file. The page of some subjects alone goes to OUT/report-02, OUT/report-01+02 and so on.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`, and `ablations` where `make ablate` was run.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`. All by default.
    seed : int
        Seed of the scores.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.
    outlines : str
        The ROI class that is outlined on the maps, such as prf-visualrois.
    study : str
        A study, whose rows (the first seed of each) are taken as the fits, instead of `fits`.

    Raises
    ------
    EvaluateError
        If both `study` and `fits` are given, or no row of the study is fitted.
    """
    from evaluate.fits.inputs import gather
    from evaluate.fits.study_rows import study_fits
    from evaluate.maps.values import check_outlined
    from evaluate.report.write_report import write_report
    from evaluate.scoring.all_subjects import Settings
    from evaluate.scoring.hemisphere_scorer import Resampling

    check_outlined(outlines)
    subject = subject if isinstance(subject, str | int) else " ".join(map(str, subject))
    fits = study_fits(out, study, fits) if study else fits
    options = {"data": data, "out": out, "subject": subject, "split": split,
               "roi_classes": roi_classes, "fits": fits, "seed": seed,
               "ensemble": ensemble, "outlines": outlines}  # fmt: skip
    settings = Settings(roi_classes, ensemble, Resampling(seed=seed)).validate()
    inputs = gather(data, out, subject, fits, roi_classes, split)
    write_report(inputs, settings, options)
