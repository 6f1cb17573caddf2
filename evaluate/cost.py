"""What scores, a submission and the report take: pieces of them are tried, and counted."""

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
from evaluate.resampling import intervals, orders, permute, picture_weights, resample
from evaluate.scoring.vertex_scores import score_vertices
from execute.forecast.calibration import Values, elapsed_time, minimum_time
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from execute.whole_command import CommandArguments

IMPORTS = "evaluate.__main__"
# Pictures and vertices of a trial.
PICTURES, VERTICES, RESAMPLES = 128, 2048, 1000
# Score, r, ceiling, best space; and what each space has alone.
MAPS = 4
# Of the page itself, and of a map's colours on the brain that turns.
PAGE, TURNING = 1_500_000, 60_000
# Charts of scores, on the page and beside the table, have marks as so many scatters.
BARS = 50

# Commands of which a plan is made.
PLANNED = ("scores", "submission", "report")


@dataclass(frozen=True)
class Scored:
    """What is scored, in numbers.

    Attributes
    ----------
    n_images : tuple of int
        Of each subject, the pictures that are scored.
    n_vertices : tuple of (int, int)
        Of each subject's hemispheres.
    n_columns : tuple of int
        Of each subject, the vertices of all ROIs, one in several so often.
    n_rois : int
        Of a subject.
    n_fits : int
        Fits; an ensemble of them is scored too.
    n_spaces : int
        Feature spaces that can be told apart.
    """

    n_images: tuple[int, ...]
    n_vertices: tuple[tuple[int, int], ...]
    n_columns: tuple[int, ...]
    n_rois: int
    n_fits: int
    n_spaces: int


def count_scored(
    subjects: Sequence[Subject], n_fits: int, n_spaces: int, heldout: float = 0.1
) -> Scored:
    """Count what `make report` would score.

    Parameters
    ----------
    heldout : float
        The share of training pictures that is scored where there are no test responses.
    """
    regions = [[roi for h in HEMISPHERES for roi in one.regions(h)] for one in subjects]
    test = all(one.has_test_responses for one in subjects)
    return Scored(
        tuple(
            len(one.pictures("test")) if test else round(heldout * len(one.pictures("train")))
            for one in subjects
        ),
        tuple((one.n_vertices("lh"), one.n_vertices("rh")) for one in subjects),
        tuple(sum(len(roi.vertices) for roi in rois) for rois in regions),
        max(map(len, regions)),
        n_fits,
        n_spaces,
    )


def evaluate_costs(scored: Scored, subjects: Sequence[Subject], rates: Rates) -> dict[str, Cost]:
    """Say what each command of this stage takes, its process's start with it."""
    start = rates.start(IMPORTS)
    begin = Cost(start["seconds"], int(start["memory"]))
    trial = rates.get_or_measure("scoring", partial(measure_process, try_scoring))
    read = _reading(scored, subjects, rates)
    runs = scored.n_fits + 1
    numbers = sum(n * c for n, c in zip(scored.n_images, scored.n_columns, strict=True))
    means = runs * scored.n_rois * 2 * len(scored.n_images)
    seconds = read + runs * numbers * trial["score"] + means * trial["interval"]
    widest = max(max(both) for both in scored.n_vertices)
    n_images = max(scored.n_images)
    # Predictions of all fits and ROIs of a hemisphere, and of what the responses say in each draw.
    columns = max(scored.n_columns) / 2 * (scored.n_fits + 1)
    memory = int(4 * n_images * (columns + 4 * widest) + 12 * RESAMPLES * widest)
    held = 0.1 * max(len(one.pictures("train")) for one in subjects)
    # Weighted held-out predictions of all fits, by which the ensemble's members are selected.
    memory = max(memory, int(4 * held * widest * scored.n_fits))
    saved = 60 * runs * sum(map(sum, scored.n_vertices))
    scores = Cost(seconds, begin.memory + memory, 0, saved)
    filled = 4 * sum(n * sum(v) for n, v in zip(_test(subjects), scored.n_vertices, strict=True))
    both = int(4 * held * (columns + 4 * widest))
    submission = Cost(read + _deflating(filled, rates), begin.memory + both, 0, filled)
    drawing = rates.get_or_measure("drawing", partial(measure_process, try_drawing))
    known = len(subjects) + (len(subjects) > 1)
    maps = known * (MAPS + scored.n_spaces - 1)
    n_pictures = maps * 2 + (MAPS + scored.n_spaces - 1) * (drawing["views"] - 2)
    seconds = drawing["begin"] + n_pictures * drawing["picture"]
    # Each ROI's name has an example, of both hemispheres together: a chart and pictures.
    examples = scored.n_rois / 2
    seconds += examples * (drawing["chart"] + 2 * N_PICTURES * drawing["thumbnail"])
    seconds += 2 * BARS * drawing["chart"]
    page = PAGE + TURNING * (maps + 2 * runs * known) + int(n_pictures * drawing["bytes"])
    drawn = Cost(seconds, int(drawing["memory"]) + 6 * page, 0, page)
    return {
        "scores": begin + scores,
        "submission": begin + submission,
        "report": begin + scores + drawn,
    }


def cost_of(asked: CommandArguments, rates: Rates) -> Cost | None:
    """Say what a command of this stage takes."""
    if asked.verb not in PLANNED or not asked.data.is_dir():
        return None
    subjects = find_subjects(asked.data, asked.subject)
    n_fits = sum(folder.is_dir() for folder in (asked.out / "fits").glob("[!.]*"))
    n_spaces = len(list((asked.out / "features").glob("[!.]*.h5")))
    scored = count_scored(subjects, n_fits, n_spaces)
    return evaluate_costs(scored, subjects, rates)[asked.verb]


def _test(subjects: Sequence[Subject]) -> list[int]:
    return [len(one.pictures("test")) for one in subjects]


def _reading(scored: Scored, subjects: Sequence[Subject], rates: Rates) -> float:
    """Say how long responses are digested, and predictions read."""
    rows = [len(one.pictures("train")) for one in subjects]
    digested = 4.0 * sum(n * sum(v) for n, v in zip(rows, scored.n_vertices, strict=True))
    read = 4.0 * scored.n_fits * sum(
        (0.1 * n + k) * c for n, k, c in zip(rows, scored.n_images, scored.n_columns, strict=True)
    )  # fmt: skip
    files = scored.n_fits * scored.n_rois * len(subjects)
    # Opening a file and looking what it is takes some milliseconds.
    return rates.digests(digested) / rates.threads + rates.passes(3 * read) + 0.008 * files


def _deflating(n_bytes: float, rates: Rates) -> float:
    # About twenty times as long as a digest.
    return rates.digests(20 * n_bytes)


def try_scoring() -> Values:
    """Score random predictions.

    Returns
    -------
    dict
        `score`, seconds for each number predicted: all metrics, resamples and permutations;
        `interval`, seconds of a mean's.
    """
    rng = np.random.default_rng(0)
    y = rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    p = 0.5 * y + rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    ceiling, names = np.full(VERTICES, 0.5), np.array([b"%064d" % i for i in range(PICTURES)])
    weights, drawn = picture_weights(names, RESAMPLES), orders(names, RESAMPLES)

    def work() -> None:
        score_vertices(y, p, ceiling)
        permute(y, [p], drawn)
        list(resample(y, p, ceiling, weights, [np.arange(VERTICES)]))

    (draws,) = resample(y, p, ceiling, weights, [np.arange(VERTICES)])
    return {
        "score": minimum_time(work) / y.size,
        "interval": minimum_time(lambda: intervals(draws)),
    }


def try_drawing() -> Values:
    """Draw the brain once.

    Returns
    -------
    dict
        `begin`, seconds until the views of the brain are there; `picture`, seconds of a painted
        one, and its `bytes` on the page; `views`, how many; `chart` and `thumbnail`, seconds of
        those beside them.
    """
    mesh = load_mesh("fsaverage5")
    begin = elapsed_time(lambda: render_views(mesh, WIDTH, {}))
    views = render_views(mesh, WIDTH, {}, ("flat",))
    rng = np.random.default_rng(0)
    # As smooth as a map is.
    values = rng.integers(0, 255, (12, 16, 4), dtype=np.uint8)
    image = Image.fromarray(values).resize((WIDTH, WIDTH * views[0].grey.shape[0] // WIDTH))
    made = encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG")
    shown = Image.fromarray(rng.integers(0, 255, (425, 425, 3), dtype=np.uint8))
    points = rng.standard_normal((2, PICTURES))
    about = {"name": "a vertex", "r": 0.0, "roi": "V1v"}

    def thumbnail() -> None:
        encode(shown.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS), "JPEG", quality=QUALITY)

    return {
        "begin": begin,
        # Half of it is painted, half is written.
        "picture": 2 * minimum_time(partial(_encoded, image)),
        "bytes": len(made),
        "views": 2 * len(VIEWS),
        "chart": minimum_time(lambda: scatter(points[0], points[1], about)),
        "thumbnail": minimum_time(thumbnail),
    }


def _encoded(image: Image.Image) -> str:
    return encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG")
