"""Forecast time, memory and disk of `scores`, `submission` and `report`."""

from collections.abc import Sequence

from challenge import HEMISPHERES, Subject, find_subjects
from evaluate.maps.camera import VIEWS
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from execute.whole_command import CommandArguments

IMPORTS = "evaluate.report.write_report"
# The share of training pictures that is scored where there are no test responses.
HELDOUT = 0.1
# All metrics, resamples and permutations of a prediction take as long as so many products of
# matrices, one per resample.
RESAMPLES, SCORE_PRODUCTS = 1000, 20
# Drawing is Python's work, as importing is: a map in one view, and a chart, are shares of the time
# of the imports. Views of the surface and charts of scores take as long as so many examples.
MAP_SHARE, CHART_SHARE, CHARTS = 0.015, 0.03, 110
# Maps of score, r, ceiling and best space; each feature space adds one of its unique contribution.
# Seconds to open a file of a fit and read its meta.
MAPS, OPENING = 4, 0.01
# Bytes of the page itself, and of a map: in one view, or its colours on the rotating surface; and
# of what draws: matplotlib, the surface and its views.
PAGE, MAP, DRAWING = 1_500_000, 60_000, 150 << 20


def evaluate_costs(
    subjects: Sequence[Subject], n_fits: int, n_spaces: int, rates: Rates
) -> dict[str, Cost]:
    """Forecast each make target of this stage, process start included."""
    test = all(subject.has_test_responses for subject in subjects)
    process, scores, submission, n_rois = rates.start(IMPORTS), Cost(), Cost(), 0
    n_runs = n_fits + 1  # the ensemble of the fits is scored too
    for subject in subjects:
        n_train, n_test = (len(subject.pictures(split)) for split in ("train", "test"))
        n_held = HELDOUT * n_train
        n = n_test if test else n_held
        rois = [roi for hemisphere in HEMISPHERES for roi in subject.regions(hemisphere)]
        n_columns, n_rois = sum(len(roi.vertices) for roi in rois), max(n_rois, len(rois))
        vertices = [subject.n_vertices(hemisphere) for hemisphere in HEMISPHERES]
        v, widest = sum(vertices), max(vertices)
        reading = OPENING * n_fits * len(rois)
        reading += rates.passes(12 * n_train * v + 12 * n_fits * (n_held + n) * n_columns)
        scoring = rates.products(SCORE_PRODUCTS, RESAMPLES, n_runs * n, n_columns)
        # Predictions of all fits and ROIs of a hemisphere, responses, and their moments in each
        # draw; or held-out predictions of all fits, from which the ensemble's members are selected.
        wide = n_columns / 2 * n_runs + 4 * widest
        memory = int(max(4 * n * wide + 12 * RESAMPLES * widest, 4 * n_held * widest * n_fits))
        scores += Cost(reading + scoring, memory, 0, 60 * n_runs * v)
        submission += Cost(reading, int(4 * n_held * wide), 0, 4 * n_test * v)
    # A page for each subject, and of all together; both hemispheres in each view and each example.
    n_brains, n_maps = len(subjects) + (len(subjects) > 1), MAPS + n_spaces - 1
    n_pictures = 2 * n_maps * (n_brains + len(VIEWS) - 1)
    share = n_pictures * MAP_SHARE + (n_rois / 2 + CHARTS) * CHART_SHARE
    page = PAGE + MAP * (n_brains * (n_maps + 2 * n_fits + 2) + n_pictures)
    report = scores + Cost(process.seconds * share, DRAWING + 6 * page, 0, page)
    costs = {"evaluate": scores, "submission": submission, "report": report}
    return {verb: process & cost for verb, cost in costs.items()}


def cost_of(request: CommandArguments, rates: Rates) -> Cost | None:
    """Forecast a command; None for one that is not forecast."""
    targets = {"scores": "evaluate", "submission": "submission", "report": "report"}
    if request.verb not in targets or not request.data.is_dir():
        return None
    subjects = find_subjects(request.data, request.subject)
    n_fits = sum(folder.is_dir() for folder in (request.out / "fits").glob("[!.]*"))
    n_spaces = len(list((request.out / "features").glob("[!.]*.h5")))
    return evaluate_costs(subjects, n_fits, n_spaces, rates)[targets[request.verb]]
