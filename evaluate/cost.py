"""Forecast time, memory and disk of `scores`, `submission` and `report`."""

from collections.abc import Sequence
from dataclasses import replace

from challenge import HEMISPHERES, Subject, find_subjects
from evaluate.maps.camera import VIEWS
from evaluate.report.examples import N_PICTURES
from execute.forecast.cost import Cost, sequential_cost
from execute.forecast.rates import Rates
from execute.whole_command import CommandArguments

IMPORTS = "evaluate.report.write_report"
RESAMPLES = 1000
# All metrics, resamples and permutations of a prediction take as long as so many products of
# matrices, one per resample; the intervals of a mean, as so many passes through its resamples.
SCORE_PRODUCTS, INTERVAL_PASSES = 20, 180
# Drawing is Python's work, as importing is. These are shares of the time of the imports: the views
# of the surface, a map in one view, a chart, a thumbnail.
VIEWS_SHARE, MAP_SHARE, CHART_SHARE, THUMBNAIL_SHARE = 0.4, 0.015, 0.02, 0.001
# Maps of score, r, ceiling and best space; each feature space adds one of its unique contribution.
MAPS = 4
# The charts of scores, on the page and next to the table, take as long as this many examples.
CHARTS = 50
# Bytes of the page itself, of a map in one view, and of a map's colours on the rotating surface.
PAGE, MAP, TURNING = 1_500_000, 60_000, 60_000
# Bytes of what draws: matplotlib, the surface and its views.
DRAWING = 150 << 20
# Seconds to open a file of a fit and read its meta, each time that it is needed.
OPENING = 0.01
# Deflating takes as long as so many digests.
DEFLATING = 20


def evaluate_costs(
    subjects: Sequence[Subject], n_fits: int, n_spaces: int, rates: Rates, heldout: float = 0.1
) -> dict[str, Cost]:
    """Forecast each command of this stage, process start included.

    `heldout` is the share of training pictures that is scored where there are no test responses.
    """
    process = rates.start(IMPORTS)
    test = all(subject.has_test_responses for subject in subjects)
    pairs = [_subject_costs(subject, n_fits, rates, heldout, test) for subject in subjects]
    scores, submission = (sequential_cost(costs) for costs in zip(*pairs, strict=True))
    report = scores + _page_cost(subjects, n_fits, n_spaces, process.seconds)
    costs = {"scores": scores, "submission": submission, "report": report}
    return {
        verb: replace(process + cost, memory=process.memory + cost.memory)
        for verb, cost in costs.items()
    }


def _subject_costs(
    subject: Subject, n_fits: int, rates: Rates, heldout: float, test: bool
) -> tuple[Cost, Cost]:
    """Return the costs of a subject's scores and predictions, without the process."""
    n_train, n_test = (len(subject.pictures(split)) for split in ("train", "test"))
    n_held = heldout * n_train
    # The ensemble of the fits is scored too.
    n, n_runs = n_test if test else n_held, n_fits + 1
    rois = [roi for hemisphere in HEMISPHERES for roi in subject.regions(hemisphere)]
    n_columns = sum(len(roi.vertices) for roi in rois)
    vertices = [subject.n_vertices(hemisphere) for hemisphere in HEMISPHERES]
    v, widest = sum(vertices), max(vertices)
    reading = rates.digests(4 * n_train * v) / rates.threads + OPENING * n_fits * len(rois)
    reading += rates.passes(12 * n_fits * (n_held + n) * n_columns)
    scoring = rates.products(SCORE_PRODUCTS, RESAMPLES, n_runs * n, n_columns)
    scoring += rates.passes(8 * RESAMPLES * INTERVAL_PASSES * n_runs * len(rois) * 2)
    # Predictions of all fits and ROIs of a hemisphere, responses, and their moments in each draw;
    # or held-out predictions of all fits, from which the ensemble's members are selected.
    wide = n_columns / 2 * n_runs + 4 * widest
    memory = int(max(4 * n * wide + 12 * RESAMPLES * widest, 4 * n_held * widest * n_fits))
    filled = 4 * n_test * v
    deflating = rates.digests(DEFLATING * filled)
    return (
        Cost(reading + scoring, memory, 0, 60 * n_runs * v),
        Cost(reading + deflating, int(4 * n_held * wide), 0, filled),
    )


def _page_cost(
    subjects: Sequence[Subject], n_fits: int, n_spaces: int, start_seconds: float
) -> Cost:
    """Return the cost of drawing and writing the report, without the process."""
    # One page for each subject, and one of all together; both hemispheres in each view.
    n_brains, n_maps = len(subjects) + (len(subjects) > 1), MAPS + n_spaces - 1
    n_pictures = 2 * n_maps * (n_brains + len(VIEWS) - 1)
    # Each ROI's name has an example of both hemispheres together: a chart and pictures.
    n_rois = max(sum(len(subject.regions(h)) for h in HEMISPHERES) for subject in subjects)
    shares = VIEWS_SHARE + n_pictures * MAP_SHARE + (n_rois / 2 + 2 * CHARTS) * CHART_SHARE
    shares += n_rois * N_PICTURES * THUMBNAIL_SHARE
    page = PAGE + TURNING * n_brains * (n_maps + 2 * n_fits + 2) + MAP * n_pictures
    return Cost(start_seconds * shares, DRAWING + 6 * page, 0, page)


def cost_of(request: CommandArguments, rates: Rates) -> Cost | None:
    """Forecast a command; None for one that is not forecast."""
    if request.verb not in ("scores", "submission", "report") or not request.data.is_dir():
        return None
    subjects = find_subjects(request.data, request.subject)
    n_fits = sum(folder.is_dir() for folder in (request.out / "fits").glob("[!.]*"))
    n_spaces = len(list((request.out / "features").glob("[!.]*.h5")))
    return evaluate_costs(subjects, n_fits, n_spaces, rates)[request.verb]
