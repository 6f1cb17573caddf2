"""The result of a run of scoring: the rows of scores.csv, and the content of scores.json."""

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from evaluate.fits.caveats import Caveats
from evaluate.fits.completeness import Coverage
from evaluate.fits.run_labels import FitLabel
from evaluate.resampling.intervals import NAMES as INTERVALS

COLUMNS = ("model", "spaces", "subject", "hemisphere", "roi_class", "roi", "split", "n_vertices",
           "n_excluded", "n_constant_measured", "pearson_r", "r2", "score", *INTERVALS, "chance",
           "fit", "label")  # fmt: skip
TEXT = (*COLUMNS[:7], "fit", "label")


class FitCounts(TypedDict):
    """Counts of vertices and means of all metrics of a fit, subject and hemisphere, or "all"."""

    fit: str
    label: str
    model: str
    spaces: str
    subject: str
    hemisphere: str
    n_vertices: int
    n_excluded: int
    n_clipped: int
    n_constant: int
    n_constant_measured: int
    means: dict[str, float | None]


class MemberSummary(TypedDict):
    """The part of a fit in the ensembles of all hemispheres."""

    run: str
    model: str  # the label
    spaces: str
    n_hemispheres: int  # that have the fit
    n_chosen: int  # in which it is a member
    alone: float | None  # mean held-out r; None if there were too few pictures
    change: float | None  # of the ensemble's mean held-out r
    by_hemisphere: dict[str, bool]


@dataclass(frozen=True)
class ScoreReport:
    """Scores of fits and their ensemble, with all that tables, figures and pages need."""

    frame: pd.DataFrame  # rows of scores.csv
    caveats: Caveats
    key: str = ""  # digest of all that the scores depend on
    sha256: str = ""  # of scores.csv
    figures: dict[str, str] = field(default_factory=dict)  # sha256 by name
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)  # digests of fits and data
    subjects: dict[str, list[str]] = field(default_factory=dict)  # by run
    coverage: Coverage = field(default_factory=lambda: Coverage(shared=[], lacking={}))
    twins: dict[str, str] = field(default_factory=dict)  # by label, how runs differ that look alike
    absent: dict[str, list[str]] = field(default_factory=dict)  # files: ceilings, test_responses
    n_filled: dict[str, int] = field(default_factory=dict)  # vertices, by "subject hemisphere"
    members: list[MemberSummary] = field(default_factory=list)
    counts: list[FitCounts] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def overall(self) -> pd.DataFrame:
        """The rows that pool all subjects and both hemispheres."""
        return overall(self.frame)

    @cached_property
    def whole(self) -> pd.DataFrame:
        """The row of each fit over all its vertices."""
        return self.overall[self.overall["roi_class"] == "all"]

    @property
    def metric(self) -> str:
        """The metric to show: "score" if every vertex has a ceiling, else "pearson_r"."""
        return "score" if self.whole["score"].notna().all() else "pearson_r"

    @property
    def models(self) -> list[FitLabel]:
        """The labels of the fits in the rows, the ensemble last."""
        columns = (self.frame[name] for name in FitLabel._fields[:4])
        labels = dict.fromkeys(zip(*columns, strict=True))
        untrained = self.caveats.untrained
        return [
            FitLabel(fit, label, model, spaces, tuple(untrained.get(fit, ())))
            for fit, label, model, spaces in labels
        ]

    @property
    def whole_counts(self) -> dict[str, FitCounts]:
        """The counts of each fit over all subjects and both hemispheres."""
        rows = [row for row in self.counts if row["subject"] == row["hemisphere"] == "all"]
        return {row["fit"]: row for row in rows}

    def as_json(self) -> dict[str, Any]:
        """Return the content of scores.json."""
        names = [f.name for f in fields(self) if f.name not in ("frame", "caveats")]
        return asdict(self.caveats) | {name: getattr(self, name) for name in names}


def read_report(csv: Path, content: dict[str, Any]) -> ScoreReport:
    """Read a report from scores.csv and the content of scores.json."""
    caveats = Caveats(**{f.name: content[f.name] for f in fields(Caveats)})
    names = [f.name for f in fields(ScoreReport) if f.name not in ("frame", "caveats")]
    return ScoreReport(load_scores(csv), caveats, **{n: content[n] for n in names if n in content})


def load_scores(path: Path | str = "derivatives/scores.csv") -> pd.DataFrame:
    """Load the table that `make evaluate` wrote.

    Parameters
    ----------
    path : str or Path
        The file scores.csv, or that of some subjects, scores-02.csv.

    Returns
    -------
    DataFrame
        A row for each fit, subject, hemisphere and ROI, "all" where they are pooled: numbers of
        vertices, `pearson_r`, `r2` and `score` with the ends of their intervals, `chance`.

    Examples
    --------
    >>> scores = load_scores("derivatives/scores-01.csv")
    >>> bool((scores.roi_class == "streams").any())
    True
    """
    empty = {name: [""] for name in COLUMNS if name not in TEXT}
    text = dict.fromkeys(TEXT, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)


def overall(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that pool all subjects and both hemispheres."""
    return frame[(frame["subject"] == "all") & (frame["hemisphere"] == "all")]
