"""What `test_evaluate_fits` shares with other tests."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from base import sha256_files
from cache import read_artifact, write_artifact
from challenge import HEMISPHERES, Subject, find_subjects, response_digests
from evaluate.fits.hemisphere import Hemisphere, load_hemisphere
from evaluate.fits.runs import find_runs

DIGEST = "0123456789abcdef"


def write_fits(
    out: Path,
    data: Path,
    model: str = "ridge",
    spaces: Sequence[str] = ("alexnet",),
    digest: str = DIGEST,
    noise: float = 1.0,
    seed: int = 0,
    subject: str = "all",
    change: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
) -> Path:
    """Write what stage 2 would: predictions that are the responses with noise added."""
    rng = np.random.default_rng(seed)
    for found in find_subjects(data, subject):
        for hemisphere in HEMISPHERES:
            for roi_class, roi, vertices in regions(found, hemisphere):
                arrays, meta = fit_of(found, hemisphere, vertices, rng, noise)
                meta |= {"model": model, "spaces": list(spaces), "digest": digest}
                meta |= {"roi_class": roi_class, "roi": roi}
                if change:
                    change(arrays, meta)
                folder = out / "fits" / f"{model}-{digest}" / f"subj{found.name}"
                write_artifact(folder / f"{hemisphere}.{roi}.h5", arrays, meta)
    return out


def regions(subject: Subject, hemisphere: str) -> list[tuple[str, str, np.ndarray]]:
    """List the ROIs that have vertices, and the rest."""
    found = [(r.roi_class, r.name, r.vertices) for r in subject.rois(hemisphere)]
    rest = np.setdiff1d(
        np.arange(subject.n_vertices(hemisphere)), np.concatenate([v for _, _, v in found])
    )
    return [r for r in [*found, ("residual", "residual", rest)] if len(r[2])]


def fit_of(
    subject: Subject, hemisphere: str, vertices: np.ndarray, rng: np.random.Generator, noise: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the arrays and meta of one fit, half of the training pictures held out."""
    train = subject.responses(hemisphere, "train")
    rows = np.arange(0, len(train), 2)
    shapes = {"heldout": train[rows][:, vertices]}
    if subject.has_test_responses:
        shapes["test"] = subject.responses(hemisphere, "test")[:, vertices]
    else:
        shapes["test"] = np.zeros((len(subject.pictures("test")), len(vertices)))
    arrays = {
        f"{split}_predictions": (y + noise * rng.standard_normal(y.shape)).astype(np.float32)
        for split, y in shapes.items()
    }
    arrays |= {
        "vertices": np.asarray(vertices, np.int64),
        "heldout_rows": rows,
        "test_pictures": np.array(subject.picture_digests("test"), "S64"),
        "training_pictures": np.array(subject.picture_digests("train"), "S64"),
    }
    responses = Path(str(train.filename))
    meta = {
        "kind": "fit",
        "subject": subject.name,
        "hemisphere": hemisphere,
        "untrained": [],
        "settings": {"seed": 0},
        "seed": 0,
        "responses": sha256_files([responses])[0],
        "provenance": {},
    }
    return arrays, meta


def load(data: Path, out: Path, hemisphere: str = "lh") -> Hemisphere:
    """Load subject 01's fits."""
    subject = find_subjects(data, "01")[0]
    digest = response_digests([subject])[subject.name, hemisphere]
    loaded = load_hemisphere(subject, hemisphere, find_runs(out, subjects=["01"]), digest)
    assert loaded is not None
    return loaded


def rewrite(path: Path, **arrays: np.ndarray) -> None:
    """Change arrays of one fit on disk."""
    old, meta = read_artifact(path)
    write_artifact(path, old | arrays, meta)
