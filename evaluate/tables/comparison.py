"""Score differences between fits, ROI by ROI."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import false_discovery_control

from base import decimal, plural, progress, provenance, run_hint, say
from challenge import SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import Caveats
from evaluate.fits.completeness import wrap
from evaluate.fits.inputs import Inputs, gather, report_missing
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import Run, find_runs, label_fits
from evaluate.fits.sidecar import write_csv, write_json
from evaluate.resampling import FEWEST_PICTURES, difference
from evaluate.scoring.all_subjects import Settings, add_tallies, check_resampling, score_hemispheres
from evaluate.scoring.hemisphere_rows import Key, roi_rank
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.scoring.score_report import overall
from evaluate.scoring.seeds import MEASURES
from evaluate.scoring.vertex_scores import Tally

COLUMNS = ("first", "second", "subject", "hemisphere", "roi_class", "roi", "split",
           "n_vertices", "measure", "first_mean", "second_mean", "difference", "low", "high",
           "p", "q", "chance", "first_fit", "second_fit")  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Score differences between fits, and all that stands beside them."""

    frame: pd.DataFrame  # rows of compare.csv
    caveats: Caveats
    runs: list[str]  # folders, or "ensemble"
    titles: dict[str, str]  # by label
    settings: Settings

    def as_json(self) -> dict[str, Any]:
        """Return the content of compare.json."""
        resampling = self.settings.resampling
        return asdict(self.caveats) | {
            "runs": self.runs,
            "titles": self.titles,
            "ensemble": self.settings.ensemble,
            "resamples": resampling.resamples,
            "seed": resampling.seed,
        }


def compare_fits(
    runs: list[str],
    data: Path,
    out: Path,
    subject: SubjectChoice,
    split: str,
    resamples: int,
    seed: int,
    ensemble: str,
) -> None:
    """Compare fits with the first of them, ROI by ROI, on the same draws of pictures."""
    if len(runs) < 2:
        listing = ", ".join(map(_describe_run, find_runs(out)))
        raise EvaluateError(
            f"compare {' '.join(runs)}: found {plural(len(runs), 'run')}, expected at least "
            f"two ({run_hint('compare', fits=['A', 'B'])}): names of fits, beginnings of their "
            f"folders, or ensemble; there are {listing}"
        )
    settings = Settings(None, ensemble, Resampling(resamples, 0, seed)).validate()
    if not resamples:
        raise EvaluateError("--resamples 0: a comparison needs resamples, such as 2000")
    names = [name if name == ENSEMBLE else _find_run(out, name) for name in runs]
    if len(set(names)) < len(names):
        raise EvaluateError(f"compare {' '.join(runs)}: two of these are the same run")
    settings = replace(settings, baseline=names[0])
    inputs = gather(data, out, subject, None if ENSEMBLE in names else names, None, split)
    report_missing(inputs)
    runs_by_name = {run.name: run for run in inputs.runs}
    chosen_runs = [runs_by_name[name] for name in names if name in runs_by_name]
    if absent := [name for name in names if name not in (*runs_by_name, ENSEMBLE)]:
        raise EvaluateError(
            f"{absent[0]}: has no fits of subject {subject}: {run_hint('fit', subject=subject)}"
        )
    if ENSEMBLE in names and len(inputs.runs) == 1:
        raise EvaluateError(
            f"ensemble: {inputs.runs[0].name} is the only fit, so the ensemble equals it: expected "
            f"another fit to compare with: {run_hint('fit')}"
        )
    check_resampling(inputs, settings.resampling)
    rows = list(_rows(inputs, names, settings))
    if not rows:
        raise EvaluateError(f"{' and '.join(names)}: no ROI that both have fits of")
    frame = _with_q(pd.DataFrame(rows, columns=list(COLUMNS)))
    titles = {run.label: run.title for run in chosen_runs}
    comparison = Comparison(frame, inputs.caveats, names, titles, settings)
    path = out / f"compare{inputs.suffix}.csv"
    write_csv(path, frame)
    write_json(path.with_suffix(".json"), comparison.as_json() | {"provenance": provenance()})
    say("\n".join([*format_comparison(comparison), f"-> {path}"]))


def _find_run(out: Path, name: str) -> str:
    """Return the folder of the only run that a name stands for."""
    matches = find_runs(out, [name])
    if len(matches) > 1:
        listing = "; ".join(map(_describe_run, matches))
        raise EvaluateError(
            f"{name}: {len(matches)} runs have names that begin so, name one: {listing}"
        )
    return matches[0].name


def _describe_run(run: Run) -> str:
    """Return the label, the folder and the spaces of a run."""
    name = f"{run.label}, {run.name}" if not run.name.startswith(run.label) else run.name
    return f"{name} ({run.joined})"


def _rows(inputs: Inputs, names: Sequence[str], settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the rows of compare.csv; draws of one subject and of all pooled are in memory."""
    tallies: dict[Key, Tally] = {}
    labels = {fit: label.label for fit, label in label_fits(inputs.runs).items()}
    for subject in progress(inputs.subjects, desc="comparing", unit="subject"):
        for side, hemisphere_scores in score_hemispheres(inputs, subject, settings):
            selected = {
                leaf: t for leaf, t in hemisphere_scores.tallies.items() if leaf[0] in names
            }
            add_tallies(tallies, selected, subject.name, side)
        yield from _differences(tallies, names, labels, subject.name, inputs.split)
        tallies = {key: tally for key, tally in tallies.items() if key.subject == "all"}
    yield from _differences(tallies, names, labels, "all", inputs.split)


def _differences(
    tallies: Mapping[Key, Tally],
    names: Sequence[str],
    labels: Mapping[str, str],
    subject: str,
    split: str,
) -> Iterator[dict[str, Any]]:
    first, *seconds = names
    keys = [key for key in tallies if key.subject == subject and key.fit == first]
    for second in seconds:
        for key in sorted(keys, key=_row_rank):
            first_tally, second_tally = tallies[key], tallies.get(key._replace(fit=second))
            # Where a run lacks a ROI it covers fewer vertices, which cannot be paired.
            if second_tally is not None and first_tally.n_vertices == second_tally.n_vertices:
                yield {"first": labels[first], "second": labels[second], **key._asdict(),
                       "split": split, **_difference(first_tally, second_tally),
                       "first_fit": first, "second_fit": second}  # fmt: skip


def _row_rank(key: Key) -> tuple[Any, ...]:
    sides = (key.hemisphere != "lh", key.hemisphere != "rh")
    return (*sides, *roi_rank(key.roi_class, key.roi))


def _difference(first: Tally, second: Tally) -> dict[str, Any]:
    """Return the columns of compare.csv on the means and their difference."""
    measure = "pearson_r" if first.mean("noise_normalised") is None else "score"
    metric, draw_name, scale = MEASURES[measure]
    row: dict[str, Any] = {
        "n_vertices": first.n_vertices,
        "measure": measure,
        "first_mean": first.mean(metric),
        "second_mean": second.mean(metric),
        "chance": first.mean("chance"),
    }
    means = row["first_mean"], row["second_mean"]
    if None not in means:
        row["difference"] = means[1] - means[0]
    if first.draws is not None and second.draws is not None:
        paired = difference(first.draws, second.draws, draw_name, second.swaps)
        ends = {"low": paired.low, "high": paired.high}
        row |= {name: None if end is None else scale * end for name, end in ends.items()}
        row["p"] = paired.p
    return row


def _with_q(frame: pd.DataFrame) -> pd.DataFrame:
    """Add q, with false-discovery control over the ROIs of a comparison, subject and hemisphere."""
    frame["q"] = frame["q"].astype(float)
    rois = frame[(frame["roi"] != "all") & frame["p"].notna()]
    for _, group in rois.groupby(["second_fit", "subject", "hemisphere"]):
        frame.loc[group.index, "q"] = false_discovery_control(group["p"].astype(float))
    return frame


def format_comparison(comparison: Comparison) -> list[str]:
    """Return a table for each run after the first, over all subjects and both hemispheres."""
    lines: list[str] = []
    whole, caveats = overall(comparison.frame), comparison.caveats
    for _, rows in whole.groupby("second_fit", sort=False):
        head = rows.iloc[0]
        lines += ["", f"{head['second']} less {head['first']}", ""]
        lines.append(_line(head["measure"], "", "first", "second", "difference", "95 %", "p", "q"))
        table_rows = rows[(rows["roi_class"] != "residual") | (rows["roi"] != "all")]
        lines += [_in_line(row) for row in table_rows.to_dict("records")]
    lines += [
        "",
        "difference: second less first, on the same vertices, pictures and draws",
        "q: p after false-discovery control over the ROIs (Benjamini and Hochberg)",
    ]
    chance = whole.loc[whole["roi_class"] == "all", "chance"].dropna()
    if not chance.empty:
        lines.append(f"chance: predictions unrelated to the pictures score "
                     f"{decimal(chance.iloc[0], 2)} on all vertices")  # fmt: skip
    lines += [line for title in comparison.titles.values() for line in wrap(title)]
    if (n := caveats.fewest_pictures) < FEWEST_PICTURES:
        lines.append(f"no intervals: {plural(n, 'picture')}, {FEWEST_PICTURES} are needed")
    resampling = comparison.settings.resampling
    lines.append(f"{caveats.pictures_line()}; {resampling.resamples} draws of pictures, "
                 f"seed {resampling.seed}")  # fmt: skip
    return [*lines, *caveats.origin_lines(), *caveats.wrapped_warnings()]


def _in_line(row: Mapping[Any, Any]) -> str:
    digits = 2 if row["measure"] == "score" else 3
    first, second, value, low, high = (
        decimal(row[name], digits, signed=name not in ("first_mean", "second_mean"))
        for name in ("first_mean", "second_mean", "difference", "low", "high")
    )
    span = "–" if low == "–" else f"[{low}, {high}]"
    p, q = ("" if pd.isna(row[name]) else _p(row[name]) for name in ("p", "q"))
    return _line(row["roi_class"], row["roi"], first, second, value, span, p, q)


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _line(*cells: str) -> str:
    widths = (-16, -14, 8, 8, 11, 18, 8, 8)
    return " ".join(f"{cell:<{-w}}" if w < 0 else f"{cell:>{w}}"
                    for cell, w in zip(cells, widths, strict=True)).rstrip()  # fmt: skip
