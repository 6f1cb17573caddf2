"""Screening: the right pictures at both ends, and t values of a contrast of labels."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import ttest_ind

from base import RoiridgeError
from challenge import Subject
from predict import Encoder
from predict.screening import Contrast
from tests.builders.commands import call


def screen(data: Path, out: Path, images: Path, *options: object) -> tuple[int, str]:
    done = call("predict", "screen", images, "--data", data, "--out", out, *options)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def photos(simulated: Path, tmp_path: Path) -> Path:
    """Make 20 pictures, of which one is there twice."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [
        p for split in ("train", "test") for p in Subject(simulated / "subj01").pictures(split)
    ]
    for number, path in enumerate(paths[:20]):
        with Image.open(path) as image:
            image.save(folder / f"p{number:02d}.bmp")
    (folder / "twin.bmp").write_bytes((folder / "p03.bmp").read_bytes())
    return folder


def test_both_ends_are_those_of_all_predictions(
    simulated: Path, out: Path, encoder: Encoder, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "results"
    place.mkdir()
    (place / "fits").symlink_to(out / "fits")
    (place / "features").symlink_to(out / "features")
    options = ("--contrast", "V1v - PPA", "--top", 4, "--name", "tested")
    status, printed = screen(simulated, place, photos, *options)
    assert status == 0, printed
    table = pd.read_csv(place / "screening" / "tested" / "ranking.csv")
    paths = sorted(photos.glob("p*.bmp"))
    vertices = encoder.predict(paths, ["V1v"]).mean(1) - encoder.predict(paths, ["PPA"]).mean(1)
    order = np.argsort(vertices)
    most, least = (table[table.end == end] for end in ("most", "least"))
    assert list(most.picture) == [paths[n].name for n in order[::-1][:4]]
    assert list(least.picture) == [paths[n].name for n in order[:4]]
    np.testing.assert_allclose(most.predicted, vertices[order[::-1][:4]], rtol=1e-3, atol=1e-5)
    page = (place / "screening" / "tested" / "index.html").read_text()
    assert page.count("data:image/jpeg") == 8
    assert "Responses SIMULATED" in page
    # It opens offline: nothing is loaded from elsewhere.
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_t_values_are_scipys(
    simulated: Path, out: Path, encoder: Encoder, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "results"
    place.mkdir()
    (place / "fits").symlink_to(out / "fits")
    (photos / "twin.bmp").unlink()
    paths = sorted(photos.glob("p*.bmp"))
    labels = ["face" if n % 3 else "place" for n in range(len(paths))]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = [[path.name, label] for path, label in zip(paths, labels, strict=True)]
        csv.writer(file).writerows([["picture", "label"], *rows])
    options = ("--labels", tmp_path / "labels.csv", "--contrast", "face - place", "--name", "t")
    status, printed = screen(simulated, place, photos, *options)
    assert status == 0, printed
    predicted = encoder.predict(paths).astype(np.float64)
    is_face = np.array(labels) == "face"
    expected = ttest_ind(predicted[is_face], predicted[~is_face], equal_var=False).statistic
    surfaces = encoder.to_surface(expected)
    with np.load(place / "screening" / "t" / "subj01-t.npz") as content:
        found = content["data"]
    np.testing.assert_allclose(
        found, np.concatenate([surfaces["lh"], surfaces["rh"]]), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected one of them"),
        (("--roi", "V1v", "--contrast", "V1v - PPA"), "expected one of them"),
        (("--roi", "V1w"), "no ROI 'V1w'; did you mean 'V1v'"),
        (("--contrast", "V1v -PPA"), "expected names with ' \\+ ' or ' - ' between them"),
        (("--contrast", "- PPA"), "expected names with"),
        (("--roi", "V1v", "--top", "0"), "--top 0: expected 1 or more"),
    ],
)
def test_what_cannot_be_screened(
    simulated: Path, out: Path, photos: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    status, printed = screen(simulated, out, photos, *options)
    assert status == 2
    assert re.search(message, printed), printed
    assert not (out / "screening").exists()


@pytest.mark.parametrize(
    ("content", "contrast", "message"),
    [
        ("picture,label\np00.bmp,face\n", "face - place", "20 of 21 pictures have no label"),
        ("file,label\n", "face - place", "has columns file, label"),
        (None, "face - place", "fewer than 2 pictures have the label 'place'"),
        (None, "face", "expected two sides"),
    ],
)
def test_labels_are_checked(
    simulated: Path, out: Path, photos: Path, tmp_path: Path, content: str | None, contrast: str,
    message: str,
) -> None:  # fmt: skip
    if content is None:
        names = sorted(path.name for path in photos.iterdir())
        content = "picture,label\n" + "".join(f"{name},face\n" for name in names)
    (tmp_path / "labels.csv").write_text(content)
    options = ("--labels", tmp_path / "labels.csv", "--contrast", contrast)
    status, printed = screen(simulated, out, photos, *options)
    assert status == 2
    assert message in printed


def test_a_contrast_is_a_difference_of_means() -> None:
    contrast = Contrast.parse("FFA-1 + FFA-2 - PPA")
    values = {"FFA-1": np.array([1.0]), "FFA-2": np.array([3.0]), "PPA": np.array([5.0])}
    np.testing.assert_array_equal(contrast.weigh(values), [-3.0])
    with pytest.raises(RoiridgeError, match="expected names"):
        Contrast.parse("")
