"""Forecast time, memory and disk of `scores`, `submission` and `report`."""

from collections.abc import Sequence

from challenge import HEMISPHERES, Subject, find_subjects
from evaluate.maps.camera import VIEWS
from evaluate.report.examples import N_PICTURES
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from execute.whole_command import CommandArguments

IMPORTS = "evaluate.__main__"
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
    # The ensemble of the fits is scored too.
    n_runs, n_maps = n_fits + 1, MAPS + n_spaces - 1
    test = all(subject.has_test_responses for subject in subjects)
    reading, scoring, filled, rows, n_rois = 0.0, 0.0, 0, 0, 0
    score_memory, submission_memory = 0.0, 0.0
    for subject in subjects:
        n_train, n_test = (len(subject.pictures(split)) for split in ("train", "test"))
        n_held = heldout * n_train
        n = n_test if test else n_held
        rois = [roi for hemisphere in HEMISPHERES for roi in subject.regions(hemisphere)]
        n_columns = sum(len(roi.vertices) for roi in rois)
        vertices = [subject.n_vertices(hemisphere) for hemisphere in HEMISPHERES]
        reading += rates.digests(4 * n_train * sum(vertices)) / rates.threads
        reading += rates.passes(12 * n_fits * (n_held + n) * n_columns)
        reading += OPENING * n_fits * len(rois)
        scoring += rates.products(SCORE_PRODUCTS, RESAMPLES, n_runs * n, n_columns)
        scoring += rates.passes(8 * RESAMPLES * INTERVAL_PASSES * n_runs * len(rois) * 2)
        filled += 4 * n_test * sum(vertices)
        rows += sum(vertices)
        n_rois = max(n_rois, len(rois))
        # Predictions of all fits and ROIs of a hemisphere, responses, their moments in each draw;
        # or held-out predictions of all fits, from which the ensemble's members are selected.
        wide = n_columns / 2 * n_runs + 4 * max(vertices)
        resamples, held = 12 * RESAMPLES * max(vertices), 4 * n_held * max(vertices) * n_fits
        score_memory = max(score_memory, 4 * n * wide + resamples, held)
        submission_memory = max(submission_memory, 4 * n_held * wide)
    deflating = rates.digests(DEFLATING * filled)
    scores = Cost(reading + scoring, process.memory + int(score_memory), 0, 60 * n_runs * rows)
    submission = Cost(reading + deflating, process.memory + int(submission_memory), 0, filled)
    # One page for each subject, and one of all together; both hemispheres in each view.
    n_brains = len(subjects) + (len(subjects) > 1)
    n_pictures = 2 * n_maps * (n_brains + len(VIEWS) - 1)
    # Each ROI's name has an example of both hemispheres together: a chart and pictures.
    n_examples = n_rois / 2 + 2 * CHARTS
    shares = VIEWS_SHARE + n_pictures * MAP_SHARE + n_examples * CHART_SHARE
    shares += n_rois * N_PICTURES * THUMBNAIL_SHARE
    page = PAGE + TURNING * n_brains * (n_maps + 2 * n_runs) + MAP * n_pictures
    memory = process.memory + DRAWING + 6 * page
    report = Cost(process.seconds * shares, memory, 0, page)
    costs = {"scores": scores, "submission": submission, "report": scores + report}
    return {verb: process + cost for verb, cost in costs.items()}


def cost_of(request: CommandArguments, rates: Rates) -> Cost | None:
    """Forecast a command; None for one that is not forecast."""
    if request.verb not in ("scores", "submission", "report") or not request.data.is_dir():
        return None
    subjects = find_subjects(request.data, request.subject)
    n_fits = sum(folder.is_dir() for folder in (request.out / "fits").glob("[!.]*"))
    n_spaces = len(list((request.out / "features").glob("[!.]*.h5")))
    return evaluate_costs(subjects, n_fits, n_spaces, rates)[request.verb]
