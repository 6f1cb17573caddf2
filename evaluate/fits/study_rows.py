"""The rows of each study, as stage 2 lists them in `OUT/studies`."""

from pathlib import Path
from typing import Any

from base import nearest, run_hint
from cache.records import StudyRecord, load_record
from evaluate.errors import EvaluateError


def read_study(out: Path, name: str) -> StudyRecord:
    """Read the list of a study's rows; fields that older revisions lack get defaults."""
    path = out / "studies" / f"{name}.h5"
    if not path.is_file():
        study_names = sorted(file.stem for file in path.parent.glob("[!.]*.h5"))
        command = run_hint("compare-encoders", study=name)
        raise EvaluateError(
            f"study {name}: no list of its rows in {path.parent} (there: "
            f"{', '.join(study_names) or 'none'}): fit them first with {command}"
            f"{nearest(name, study_names)}"
        )
    study = load_record(StudyRecord, path, "remove it, and fit the study again")
    defaults: Any = {"pretrained": "", "discriminators": None, "seeds": 1, "against": ""}
    for row in study["rows"]:
        fits: Any = {"fits": [row["fit"]] if row["fit"] else []}
        row.update(defaults | fits | row)
    return study


def row_names(out: Path) -> dict[str, str]:
    """Return the study row of each fit's folder, such as "vanilla GAN, seed 2 of 3"."""
    names_by_fit: dict[str, dict[str, None]] = {}
    for file in sorted((out / "studies").glob("[!.]*.h5")):
        for row in read_study(out, file.stem)["rows"]:
            n = len(row["fits"])
            for number, fit in enumerate(row["fits"], start=1):
                name = f"{row['name']}, seed {number} of {n}" if n > 1 else row["name"]
                names_by_fit.setdefault(fit, {})[name] = None
    return {fit: "; ".join(names) for fit, names in names_by_fit.items()}


def study_fits(out: Path, study: str, fits: list[str] | None) -> list[str]:
    """Return the fits of the rows of a study."""
    if fits:
        raise EvaluateError(f"--study {study} and --fits: expected only one of them")
    fit_names = [row["fit"] for row in read_study(out, study)["rows"] if row["fit"]]
    if not fit_names:
        raise EvaluateError(
            f"--study {study}: no row is fitted: {run_hint('compare-encoders', study=study)}"
        )
    return list(dict.fromkeys(fit_names))
