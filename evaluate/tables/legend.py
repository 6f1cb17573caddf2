"""The lines below the table of scores: the meaning of its numbers, and warnings."""

from base import plural
from challenge import HEMISPHERES, SMALLEST_CEILING
from evaluate.fits.completeness import coverage_lines, wrap
from evaluate.resampling import FEWEST_CALIBRATED, FEWEST_PICTURES
from evaluate.scoring.score_report import ScoreReport
from evaluate.tables.member_lines import describe_members


def legend(report: ScoreReport) -> list[str]:
    """Return the lines below the table: the meaning of its numbers, data, members, warnings."""
    lines = [*_measure_lines(report), *_interval_lines(report), *_picture_lines(report)]
    lines += report.caveats.origin_lines()
    lines += describe_members(report.members)
    for label, differs in report.twins.items():
        lines += wrap(f"{label}: {differs}")
    # Not wrapped, so that a command stays on one line.
    lines += [f"WARNING: {line}" for line in score_warnings(report)]
    if uneven := coverage_lines(report.coverage, "evaluate"):
        lines += ["columns cover different subjects, do not compare them:", *uneven]
    if filled := sum(report.n_filled.values()):
        lines.append(f"ensemble: {plural(filled, 'vertex')} in none of the chosen ROI classes, "
                     "filled from the others")  # fmt: skip
    lines += _constant_lines(report)
    lines.append(f"excluded: ceiling 0 (below {SMALLEST_CEILING:g}), in no mean; "
                 "clipped: score cut at 100;")  # fmt: skip
    lines.append("constant: one prediction for all, r = 0")
    return lines


def score_warnings(report: ScoreReport) -> list[str]:
    """Return a sentence for each fault of the data or fits that distorts the scores."""
    lines = report.caveats.warning_lines()
    if (report.whole["explained_low"] > 100).any():
        lines.append("more than 100 % explained: the ceilings are too low, or predictions saw the "
                     "responses")  # fmt: skip
    return lines


def _measure_lines(report: ScoreReport) -> list[str]:
    if report.metric == "score":
        return [
            "score: mean over vertices of r^2 / noise ceiling, in percent",
            "chance: the score that is expected of predictions unrelated to the pictures",
        ]
    line = "pearson_r: mean over vertices, NOT noise-normalised: "
    missing = report.absent["ceilings"]
    if not missing:
        return [f"{line}a column has only vertices of ceiling 0"]
    if len(missing) == _n_sides(report):
        return [f"{line}there are no noise ceilings", f"  (such as {missing[0]})"]
    return [f"{line}noise ceilings are missing:", *(f"  {file}" for file in missing)]


def _constant_lines(report: ScoreReport) -> list[str]:
    """Return a warning about vertices that no model can predict, if there are any."""
    counts = report.whole_counts.values()
    n_vertices = max((count["n_constant_measured"] for count in counts), default=0)
    if not n_vertices:
        return []
    return wrap(f"WARNING: at {n_vertices} vertices that count, the measured responses are "
                "constant: r = 0, whatever is predicted (make check names them)")  # fmt: skip


def _interval_lines(report: ScoreReport) -> list[str]:
    settings = report.settings
    if not settings["resamples"]:
        return ["no intervals: they were not asked for (--resamples 0)"]
    fewest = report.caveats.fewest_pictures
    if report.frame["pearson_r_low"].isna().all():
        return [f"no intervals: fewer than {FEWEST_PICTURES} different pictures say little of how "
                "much others would differ"]  # fmt: skip
    lines = [f"[low, high]: 95 % interval, had other pictures been shown; {settings['resamples']} "
             f"draws of pictures, seed {settings['seed']}"]  # fmt: skip
    if fewest < FEWEST_CALIBRATED:
        lines.append(f"the intervals are calibrated for {FEWEST_CALIBRATED} pictures and more: "
                     f"with {fewest} they are rough")  # fmt: skip
    if report.metric == "score":
        lines.append("explained: rho^2 / noise ceiling with infinitely many pictures, small-sample "
                     "bias removed")  # fmt: skip
    return lines


def _picture_lines(report: ScoreReport) -> list[str]:
    lines = [report.caveats.pictures_line()]
    missing = report.absent["test_responses"]
    is_heldout = report.settings["split"] == "heldout"
    # The organisers keep back all test responses; having only some of them is a mistake.
    if not is_heldout and 0 < len(missing) < _n_sides(report):
        lines += ["not on the test pictures, as test responses are missing:"]
        lines += [f"  {file}" for file in missing]
    return lines


def _n_sides(report: ScoreReport) -> int:
    return len(report.caveats.n_pictures) * len(HEMISPHERES)
