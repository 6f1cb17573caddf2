"""Forecast time, memory and disk of `scores`, `submission` and `report` from short trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from challenge import HEMISPHERES, Subject, find_subjects
from evaluate.maps.camera import VIEWS, render_views
from evaluate.maps.surface import load_mesh
from evaluate.report.brain import WIDTH
from evaluate.report.charts import scatter
from evaluate.report.examples import N_PICTURES, PIXELS, QUALITY, encode
from evaluate.resampling import draw_orders, intervals, permute, picture_weights, resample
from evaluate.scoring.vertex_scores import score_vertices
from execute.forecast.calibration import Values, elapsed_time, minimum_time
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from execute.whole_command import CommandArguments

IMPORTS = "evaluate.__main__"
# Size of a trial.
PICTURES, VERTICES, RESAMPLES = 128, 2048, 1000
# Maps of score, r, ceiling and best space; each feature space adds one of its unique contribution.
MAPS = 4
# Bytes of the page itself, and of one map's colours on the rotating surface.
PAGE, TURNING = 1_500_000, 60_000
# The charts of scores, on the page and next to the table, take as long as this many scatters.
BARS = 50

# Commands whose cost is forecast.
PLANNED = ("scores", "submission", "report")


@dataclass(frozen=True)
class ScoringSize:
    """Counts on which the cost of scoring depends.

    Attributes
    ----------
    n_images : tuple of int
        Scored pictures of each subject.
    n_vertices : tuple of (int, int)
        Vertices of the left and right hemisphere of each subject.
    n_columns : tuple of int
        Sum of the ROI sizes of each subject; a vertex in several ROIs counts once for each.
    n_rois : int
        Largest number of ROIs of a subject, both hemispheres together.
    n_fits : int
        Fits; their ensemble is scored too.
    n_spaces : int
        Feature spaces.
    """

    n_images: tuple[int, ...]
    n_vertices: tuple[tuple[int, int], ...]
    n_columns: tuple[int, ...]
    n_rois: int
    n_fits: int
    n_spaces: int


def count_scoring(
    subjects: Sequence[Subject], n_fits: int, n_spaces: int, heldout: float = 0.1
) -> ScoringSize:
    """Count what `make report` would score.

    `heldout` is the share of training pictures that is scored where there are no test responses.
    """
    regions = [[roi for h in HEMISPHERES for roi in subject.regions(h)] for subject in subjects]
    test = all(subject.has_test_responses for subject in subjects)
    return ScoringSize(
        tuple(
            len(subject.pictures("test"))
            if test
            else round(heldout * len(subject.pictures("train")))
            for subject in subjects
        ),
        tuple((subject.n_vertices("lh"), subject.n_vertices("rh")) for subject in subjects),
        tuple(sum(len(roi.vertices) for roi in rois) for rois in regions),
        max(map(len, regions)),
        n_fits,
        n_spaces,
    )


def evaluate_costs(size: ScoringSize, subjects: Sequence[Subject], rates: Rates) -> dict[str, Cost]:
    """Compute the cost of each forecast command of this stage, process start included."""
    start = rates.start(IMPORTS)
    begin = Cost(start["seconds"], int(start["memory"]))
    trial = rates.get_or_measure("scoring", partial(measure_process, try_scoring))
    read = _reading_seconds(size, subjects, rates)
    runs = size.n_fits + 1
    numbers = sum(n * c for n, c in zip(size.n_images, size.n_columns, strict=True))
    means = runs * size.n_rois * 2 * len(size.n_images)
    seconds = read + runs * numbers * trial["score"] + means * trial["interval"]
    widest = max(map(max, size.n_vertices))
    n_images = max(size.n_images)
    # Predictions of all fits and ROIs of a hemisphere, responses, and their moments in each draw.
    columns = max(size.n_columns) / 2 * (size.n_fits + 1)
    memory = int(4 * n_images * (columns + 4 * widest) + 12 * RESAMPLES * widest)
    n_heldout = 0.1 * max(len(subject.pictures("train")) for subject in subjects)
    # Weighted held-out predictions of all fits, from which the ensemble's members are selected.
    memory = max(memory, int(4 * n_heldout * widest * size.n_fits))
    saved = 60 * runs * sum(map(sum, size.n_vertices))
    scores = Cost(seconds, begin.memory + memory, 0, saved)
    filled = 4 * sum(
        n * sum(v) for n, v in zip(_n_test_pictures(subjects), size.n_vertices, strict=True)
    )
    memory = begin.memory + int(4 * n_heldout * (columns + 4 * widest))
    submission = Cost(read + _compression_seconds(filled, rates), memory, 0, filled)
    drawing = rates.get_or_measure("drawing", partial(measure_process, try_drawing))
    n_brains = len(subjects) + (len(subjects) > 1)
    maps = n_brains * (MAPS + size.n_spaces - 1)
    n_pictures = maps * 2 + (MAPS + size.n_spaces - 1) * (drawing["views"] - 2)
    seconds = drawing["begin"] + n_pictures * drawing["picture"]
    # Each ROI's name has an example, of both hemispheres together: a chart and pictures.
    examples = size.n_rois / 2
    seconds += examples * (drawing["chart"] + 2 * N_PICTURES * drawing["thumbnail"])
    seconds += 2 * BARS * drawing["chart"]
    page = PAGE + TURNING * (maps + 2 * runs * n_brains) + int(n_pictures * drawing["bytes"])
    report = Cost(seconds, int(drawing["memory"]) + 6 * page, 0, page)
    return {
        "scores": begin + scores,
        "submission": begin + submission,
        "report": begin + scores + report,
    }


def cost_of(request: CommandArguments, rates: Rates) -> Cost | None:
    """Compute the cost of a command; None for one that is not forecast."""
    if request.verb not in PLANNED or not request.data.is_dir():
        return None
    subjects = find_subjects(request.data, request.subject)
    n_fits = sum(folder.is_dir() for folder in (request.out / "fits").glob("[!.]*"))
    n_spaces = len(list((request.out / "features").glob("[!.]*.h5")))
    size = count_scoring(subjects, n_fits, n_spaces)
    return evaluate_costs(size, subjects, rates)[request.verb]


def _n_test_pictures(subjects: Sequence[Subject]) -> list[int]:
    return [len(subject.pictures("test")) for subject in subjects]


def _reading_seconds(size: ScoringSize, subjects: Sequence[Subject], rates: Rates) -> float:
    """Compute the seconds for digesting responses and reading predictions."""
    rows = [len(subject.pictures("train")) for subject in subjects]
    digested = 4.0 * sum(n * sum(v) for n, v in zip(rows, size.n_vertices, strict=True))
    read = 4.0 * size.n_fits * sum(
        (0.1 * n + k) * c for n, k, c in zip(rows, size.n_images, size.n_columns, strict=True)
    )  # fmt: skip
    files = size.n_fits * size.n_rois * len(subjects)
    # Opening a file and reading its meta takes some milliseconds.
    return rates.digests(digested) / rates.threads + rates.passes(3 * read) + 0.008 * files


def _compression_seconds(n_bytes: float, rates: Rates) -> float:
    # Deflating takes about twenty times as long as a digest.
    return rates.digests(20 * n_bytes)


def try_scoring() -> Values:
    """Measure the scoring of random predictions.

    Returns
    -------
    dict
        `score`, seconds per predicted number for all metrics, resamples and permutations;
        `interval`, seconds for the intervals of one mean.
    """
    rng = np.random.default_rng(0)
    y = rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    p = 0.5 * y + rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    ceiling, names = np.full(VERTICES, 0.5), np.array([b"%064d" % i for i in range(PICTURES)])
    weights, permutations = picture_weights(names, RESAMPLES), draw_orders(names, RESAMPLES)

    def work() -> None:
        score_vertices(y, p, ceiling)
        permute(y, [p], permutations)
        list(resample(y, p, ceiling, weights, [np.arange(VERTICES)]))

    (draws,) = resample(y, p, ceiling, weights, [np.arange(VERTICES)])
    return {
        "score": minimum_time(work) / y.size,
        "interval": minimum_time(lambda: intervals(draws)),
    }


def try_drawing() -> Values:
    """Measure the drawing of one map, chart and thumbnail.

    Returns
    -------
    dict
        `begin`, seconds for the views of the surface; `picture`, seconds for one painted view, and
        its `bytes` on the page; `views`, their number; `chart` and `thumbnail`, seconds for one.
    """
    mesh = load_mesh("fsaverage5")
    begin = elapsed_time(lambda: render_views(mesh, WIDTH, {}))
    views = render_views(mesh, WIDTH, {}, ("flat",))
    rng = np.random.default_rng(0)
    # As smooth as a map is.
    values = rng.integers(0, 255, (12, 16, 4), dtype=np.uint8)
    image = Image.fromarray(values).resize((WIDTH, WIDTH * views[0].grey.shape[0] // WIDTH))
    encoded_map = encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG")
    photo = Image.fromarray(rng.integers(0, 255, (425, 425, 3), dtype=np.uint8))
    points = rng.standard_normal((2, PICTURES))
    about = {"name": "a vertex", "r": 0.0, "roi": "V1v"}

    def thumbnail() -> None:
        encode(photo.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS), "JPEG", quality=QUALITY)

    return {
        "begin": begin,
        # Half of it is painted, half is written.
        "picture": 2 * minimum_time(partial(_encode_map, image)),
        "bytes": len(encoded_map),
        "views": 2 * len(VIEWS),
        "chart": minimum_time(lambda: scatter(points[0], points[1], about)),
        "thumbnail": minimum_time(thumbnail),
    }


def _encode_map(image: Image.Image) -> str:
    return encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG")
