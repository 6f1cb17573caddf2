"""Faults that a stranger found in predictions: each has its right value here."""

import csv
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from base import RoiridgeError
from evaluate import EvaluateError, save_surface
from predict import Encoder, PredictError, load_encoder
from predict.packs.pack import pack_encoder
from predict.pictures import open_source
from tests.builders.commands import call
from tests.builders.fits import write_fits
from tests.builders.paths import ROOT

FITS = ("both", "banded")


@pytest.fixture
def place(out: Path, tmp_path: Path) -> Path:
    """Make an output folder with the fits and features of the others, and nothing else."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("fits", "features"):
        (folder / name).symlink_to(out / name)
    return folder


def write_pictures(folder: Path, count: int, side: int = 12) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")
    return folder


def predict(data: Path, out: Path, images: Path, *options: object) -> tuple[int, str]:
    done = call("predict", "images", images, "--data", data, "--out", out, *options)
    return done.returncode, done.stdout + done.stderr


def screen(data: Path, out: Path, images: Path, *options: object) -> tuple[int, str]:
    done = call("predict", "screen", images, "--data", data, "--out", out, *options)
    return done.returncode, done.stdout + done.stderr


def test_a_pil_picture_is_turned_by_its_exif_tag(encoder: Encoder, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(encoder.predict(image), encoder.predict(tmp_path / "a.png"))


@pytest.mark.parametrize(
    "images",
    [
        np.full((4, 4, 3), np.nan),
        np.array([[0.0, np.nan], [0.5, 1.0]]),
        np.float32(0.5),
        None,
        3,
        b"abc",
        [1, 2],
        {"a": 1},
        "",
        np.zeros((4, 4, 4), np.uint8),
        torch.zeros(2, 4, 4),
    ],
    ids=str,
)
def test_what_is_no_picture_is_named(encoder: Encoder, images: object) -> None:
    with pytest.raises(PredictError, match=r"images: (found|none)"):
        encoder.predict(images)


def test_tensors_of_every_float(encoder: Encoder) -> None:
    pixels = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        # bfloat16 has three digits of a level.
        expected = encoder.predict((pixels.to(dtype).float() * 255).round().byte())
        np.testing.assert_array_equal(encoder.predict(pixels.to(dtype)), expected)


@pytest.mark.parametrize("roi", [[], [1], [None]])
def test_rois_are_names(encoder: Encoder, roi: list[object]) -> None:
    with pytest.raises(PredictError, match=r"roi: found .*expected names such as 'V1v'"):
        encoder.predict(np.zeros((4, 4, 3), np.uint8), roi=roi)


def test_two_labels_of_one_picture_are_refused(
    simulated: Path, place: Path, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "photos", 4)
    (folder / "copy.png").write_bytes((folder / "0000.png").read_bytes())
    rows = [(f"000{n}.png", "face" if n < 2 else "place") for n in range(4)]
    labels = tmp_path / "labels.csv"

    def localize(*more: tuple[str, str]) -> tuple[int, str]:
        with labels.open("w", newline="") as file:
            csv.writer(file).writerows([("picture", "label"), *rows, *more])
        options = ("--labels", labels, "--contrast", "face - place")
        return screen(simulated, place, folder, *options)

    status, printed = localize(("copy.png", "place"))
    assert status == 2
    assert "the same picture under another name 'face'" in printed
    status, printed = localize(("copy.png", "face"), ("0001.png", "place"))
    assert status == 2
    assert "has two rows for 0001.png" in printed
    assert localize(("copy.png", "face"))[0] == 0
    # One picture under two names is one picture: without variance there is no t.
    rows[:] = [("0000.png", "face"), *rows[2:], ("0001.png", "place")]
    status, printed = localize(("copy.png", "face"))
    assert status == 2
    assert "1 different picture with the label face, expected at least 2" in printed


def test_novelty_comes_back_with_the_features(simulated: Path, place: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", 2)
    features = (place / "features").readlink()
    (place / "features").unlink()
    status, printed = predict(simulated, place, folder, "--name", "without")
    assert status == 0, printed
    assert "no novelty: the features of the training pictures are not in the cache" in printed
    (place / "features").symlink_to(features)
    status, printed = predict(simulated, place, folder, "--name", "with")
    assert "no novelty" not in printed
    table = pd.read_csv(place / "predictions" / "with" / "subj01.csv")
    assert table["novelty"].between(0, 100).all()


@pytest.mark.slow
def test_ctrl_c_keeps_every_computed_picture(simulated: Path, place: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", 3000)
    words = ["-m", "predict", "images", folder, "--data", simulated, "--out", place]
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # The first line of progress comes after ten seconds, or at the end.
        next(line for line in process.stderr if line.startswith("predicting"))
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode in (0, 130)
    status, printed = predict(simulated, place, folder)
    assert status == 0, printed
    n_before = int(printed.split(" before")[0].split()[-1])
    assert n_before > 0


def test_a_damaged_picture_costs_no_other(simulated: Path, place: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", 70)
    (folder / "9999.png").write_bytes(b"no picture")
    status, printed = predict(simulated, place, folder)
    assert status == 2
    assert "--skip-damaged leaves out pictures" in printed
    status, printed = predict(simulated, place, folder, "--skip-damaged", "true")
    assert status == 0, printed
    # The batch of the damaged picture, the last six, is not kept.
    assert "6 pictures predicted now, 64 before" in printed
    assert "--skip-damaged" not in printed


def test_results_of_other_pictures_are_not_overwritten(
    simulated: Path, place: Path, tmp_path: Path
) -> None:
    first = write_pictures(tmp_path / "a" / "photos", 2)
    second = write_pictures(tmp_path / "b" / "photos", 3)
    dotted = write_pictures(tmp_path / "photos.v1", 2)
    hidden = write_pictures(tmp_path / ".hidden", 2)
    assert predict(simulated, place, first)[0] == 0
    status, printed = predict(simulated, place, second)
    assert status == 2
    assert "holds results for" in printed
    assert "--name" in printed
    assert predict(simulated, place, second, "--name", "other")[0] == 0
    assert predict(simulated, place, dotted)[0] == 0
    assert predict(simulated, place, hidden)[0] == 0
    names = {path.name for path in (place / "predictions").iterdir()}
    assert names == {"photos", "other", "photos.v1", "hidden"}
    for contrast, options in (("V1v", ()), ("V1v", ("--subject", "01"))):
        assert screen(simulated, place, first, "--roi", contrast, *options)[0] == 0
    assert len(list((place / "screening").iterdir())) == 2
    for name in ("../../evil", "/tmp/evil", ".", "a/b", "..", "-x"):
        status, printed = predict(simulated, place, first, f"--name={name}")
        assert status == 2
        assert "expected letters, digits" in printed
    assert not (tmp_path / "evil").exists()


def test_rounded_coefficients_are_another_encoder(
    simulated: Path, place: Path, tmp_path: Path
) -> None:
    digests = []
    for dtype in ("float32", "float16"):
        file = tmp_path / f"{dtype}.zip"
        pack_encoder(file, place, simulated, ["01"], FITS, "per_vertex", dtype, "")
        digests.append(load_encoder(file, "01").readout.meta["digest"])
    own = load_encoder([place / "fits" / name for name in FITS], "01", simulated)
    assert digests[0] == own.readout.meta["digest"]
    assert digests[1] != digests[0]


def test_strange_names_of_files(simulated: Path, place: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", 1)
    content = (folder / "0000.png").read_bytes()
    (folder / "a::b.png").write_bytes(content)
    with Path(os.fsdecode(bytes(folder) + b"/caf\xe9.png")).open("wb") as file:
        file.write(content)
    for name in ("feat.h5", "paper.pdf", "figure.eps"):
        (folder / name).write_bytes(b"no picture")
    status, printed = predict(simulated, place, folder)
    assert status == 0, printed
    assert "3 pictures, 3 other files left out" in printed
    text = (place / "predictions" / "photos" / "subj01.csv").read_text(encoding="utf-8")
    assert "caf\\udce9.png" in text
    assert "a::b.png" in text


def test_sources_that_are_something_else(simulated: Path, place: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", 2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "0000.png", "0000.png")
        offset = archive.getinfo("0000.png").header_offset + 40
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[offset : offset + 20] = b"\xff" * 20
    (tmp_path / "a.zip").write_bytes(content)
    (tmp_path / "list.csv").write_text("picture\na.zip\n")
    (tmp_path / "single.png.gz").write_bytes(b"\x1f\x8b")
    for name, message in (
        ("a.zip", "expected a whole zip or tar archive"),
        ("list.csv", "1 file it lists cannot be a picture (first: a.zip)"),
        ("single.png.gz", "not decoded (not a picture that Pillow knows)"),
    ):
        status, printed = predict(simulated, place, tmp_path / name)
        assert status == 2
        assert message in printed


def test_a_list_names_pictures_as_it_has_them(simulated: Path, place: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "sub" / "photos", 4)
    listing = tmp_path / "sub" / "list.csv"
    rows = [(f"photos/000{n}.png", "face" if n < 2 else "place") for n in range(4)]
    with listing.open("w", newline="") as file:
        csv.writer(file).writerows([("picture", "label"), *rows])
    assert open_source(listing).names == tuple(name for name, _ in rows)
    options = ("--labels", listing, "--contrast", "face - place")
    status, printed = screen(simulated, place, listing, *options)
    assert status == 0, printed


def test_folders_that_are_not_there(simulated: Path, place: Path, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "x.zip"
    done = call("predict", "pack", target, "--data", simulated, "--out", place)
    assert done.returncode == 2
    assert f"{target}: there is no folder {target.parent}" in done.stderr


def test_formats_of_maps_are_words_or_a_list(tmp_path: Path) -> None:
    values = {h: np.zeros(163842, np.float32) for h in ("lh", "rh")}
    assert [path.name for path in save_surface(values, tmp_path / "a", "npz")] == ["a.npz"]
    with pytest.raises(EvaluateError, match="formats: none given"):
        save_surface(values, tmp_path / "b", [])


def test_an_roi_that_one_subject_lacks_says_who_has_it(encoder: Encoder) -> None:
    from predict.outputs import select_rois

    lacking = load_encoder_without(encoder, "PPA")
    with pytest.raises(RoiridgeError, match=r"no ROI 'PPA'.*have them all: --subject 01"):
        select_rois([lacking, encoder.readout], ["PPA"])


def load_encoder_without(encoder: Encoder, roi: str):
    """Return a readout that lacks an ROI."""
    from dataclasses import replace

    from predict.readout import Readout

    combination = encoder.readout.combination
    meta = {**combination.meta, "rois": [r for r in combination.meta["rois"] if r[2] != roi]}
    return Readout(replace(combination, meta=meta))


def test_a_fit_that_does_not_say_what_it_reads(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="1", change=lambda _, meta: meta.pop("keys", None))
    (fit,) = (tmp_path / "fits").iterdir()
    with pytest.raises(PredictError, match=r"is of an earlier version.*again"):
        load_encoder(fit, "01", simulated)
    assert not (tmp_path / "encoders").exists()
