"""Fitted encoders on any pictures: what they predict is what the submission would hold."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cache import FeatureStore, read_artifact
from challenge import Subject, response_digests
from evaluate.fits.hemisphere import load_hemisphere
from evaluate.fits.runs import find_runs
from evaluate.scoring.ensemble import combine, compute_strengths
from predict import Encoder, PredictError, load_encoder
from predict.features import picture_digest
from tests.builders.commands import call
from tests.builders.paths import ROOT

SPACES = ("alexnet@conv5#grid2~64", "pixels:8")
FITS = ("both", "banded")


def submitted(data: Path, out: Path) -> np.ndarray:
    """Return what the submission holds: (n_test_images, n_vertices) of both hemispheres."""
    subject, runs = Subject(data / "subj01"), find_runs(out, FITS)
    responses, parts = response_digests([subject]), []
    for name in ("lh", "rh"):
        hemisphere = load_hemisphere(subject, name, runs, responses["01", name])
        assert hemisphere is not None
        strengths = compute_strengths(hemisphere)
        indices = range(len(hemisphere.models))
        parts.append(combine(hemisphere, "test", strengths, indices).predictions)
    return np.hstack(parts)


def test_pictures_in_the_cache_are_predicted_as_submitted(
    simulated: Path, out: Path, encoder: Encoder
) -> None:
    names = Subject(simulated / "subj01").picture_digests("test")
    rows = encoder.features.read(names)
    # The same operations in the same order: bit for bit.
    np.testing.assert_array_equal(encoder.readout.vertices(rows), submitted(simulated, out))


def test_other_pictures_are_computed_as_the_fits_features_were(
    simulated: Path, out: Path, encoder: Encoder
) -> None:
    paths = Subject(simulated / "subj01").pictures("test")
    predicted = encoder.predict(paths)
    # Float32 features of another batch differ in their last bits.
    np.testing.assert_allclose(predicted, submitted(simulated, out), rtol=1e-4, atol=1e-5)


def test_means_of_rois_are_means_of_their_vertices(simulated: Path, encoder: Encoder) -> None:
    paths = Subject(simulated / "subj01").pictures("test")
    vertices = encoder.predict(paths)
    means = encoder.predict(paths, mean=True)
    assert list(means) == list(encoder.readout.roi_names)
    for hemisphere, name, start in (("lh", "V1v", 0), ("rh", "PPA", 60)):
        roi = next(r for r in Subject(simulated / "subj01").rois(hemisphere) if r.name == name)
        expected = vertices[:, roi.vertices + start].mean(1)
        np.testing.assert_allclose(means[f"{hemisphere}.{name}"], expected, rtol=1e-4, atol=1e-5)
        chosen = encoder.predict(paths, roi=[f"{hemisphere}.{name}"])
        np.testing.assert_allclose(chosen, vertices[:, roi.vertices + start], rtol=1e-4, atol=1e-5)


def test_a_trained_model_is_averaged_by_its_vertices(simulated: Path, place: Path) -> None:
    options = ("--spaces", SPACES[0], "--params.epochs", 2, "--name", "trained")
    where = ("--data", simulated, "--out", place, "--subject", "01", "--device", "cpu")
    assert call("regress", *where, "--model", "mlp", *options).returncode == 0
    encoder = load_encoder(place / "fits" / "trained", "01", simulated)
    paths = Subject(simulated / "subj01").pictures("test")[:3]
    vertices, means = encoder.predict(paths), encoder.predict(paths, ["rh.EBA"], mean=True)
    roi = next(r for r in Subject(simulated / "subj01").rois("rh") if r.name == "EBA")
    expected = vertices[:, roi.vertices + 60].mean(1)
    np.testing.assert_allclose(means["rh.EBA"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_diffusion_fit_predicts_as_it_did_and_says_how_sure_it_is(
    simulated: Path, place: Path
) -> None:
    options = ("--spaces", SPACES[0], "--group_by", "hemisphere", "--params.epochs", 2)
    where = ("--data", simulated, "--out", place, "--subject", "01")
    done = call("regress", *where, "--model", "diffusion", *options, "--name", "draws")
    assert done.returncode == 0, done.stderr
    images = simulated / "subj01" / "test_split" / "test_images"
    status, printed = predict(simulated, place, images, "--fits", "draws", "--roi", "lh.V1v")
    assert status == 0, printed
    fit = next((place / "fits").glob("diffusion-*/subj01/lh.V1v.h5"))
    stored = read_artifact(fit, ["test_predictions", "test_spread"])[0]
    means = table(place, "test_images")
    # The draws have the fit's seed; a vertex of several ROIs has one code, and one prediction.
    expected = stored["test_predictions"].mean(1), stored["test_spread"].mean(1)
    np.testing.assert_allclose(means["lh.V1v"], expected[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(means["lh.V1v_spread"], expected[1], rtol=1e-3, atol=1e-5)


def test_every_kind_of_picture_in_python(simulated: Path, encoder: Encoder) -> None:
    path = Subject(simulated / "subj01").pictures("test")[0]
    with Image.open(path) as image:
        image.load()
        pixels = np.asarray(image)
    expected = encoder.predict(path)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    same = (str(path), image, pixels, pixels[None], [pixels], pixels / 255, tensor, [tensor])
    for images in same:
        np.testing.assert_allclose(encoder.predict(images), expected, rtol=1e-4, atol=1e-5)
    grey = encoder.predict(pixels[..., 0])
    np.testing.assert_array_equal(grey, encoder.predict(np.repeat(pixels[..., :1], 3, axis=2)))


def test_a_picture_is_upright_opaque_and_square(tmp_path: Path, encoder: Encoder) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
    plain = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    plain.rotate(90).save(tmp_path / "turned.png", exif=exif)
    wide = np.zeros((40, 60, 3), np.uint8)
    wide[:, 10:50] = pixels
    Image.fromarray(wide).save(tmp_path / "wide.png")
    layer = np.dstack([pixels, np.full((40, 40), 255, np.uint8)])
    Image.fromarray(layer).save(tmp_path / "opaque.png")
    hidden = np.dstack([pixels, np.zeros((40, 40), np.uint8)])
    Image.fromarray(hidden).save(tmp_path / "hidden.png")
    expected = encoder.predict(plain)
    for name in ("turned", "wide", "opaque"):
        np.testing.assert_allclose(encoder.predict(tmp_path / f"{name}.png"), expected, atol=1e-6)
    grey = np.full((40, 40, 3), 127, np.uint8)
    np.testing.assert_allclose(
        encoder.predict(tmp_path / "hidden.png"), encoder.predict(grey), atol=1e-6
    )
    levels = rng.integers(0, 256, (40, 40), np.uint8)
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(
        encoder.predict(tmp_path / "deep.png"), encoder.predict(np.dstack([levels] * 3))
    )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\), expected a array|array of"),
        (np.full((4, 4, 3), 2.0), "float64 from 2 to 2, expected uint8, or floats from 0 to 1"),
        (np.zeros((4, 4, 3), np.int64), "int64, expected uint8"),
        ([], "none given"),
        ("no such folder", "missing"),
    ],
)
def test_other_arrays_are_refused(encoder: Encoder, images: object, message: str) -> None:
    with pytest.raises(PredictError, match=message):
        encoder.predict(images)


def test_values_go_to_their_place_on_the_surface(simulated: Path, encoder: Encoder) -> None:
    masks = simulated / "subj01" / "roi_masks"
    places = {h: np.load(masks / f"{h}.all-vertices_fsaverage_space.npy") for h in ("lh", "rh")}
    values = np.arange(encoder.n_vertices, dtype=np.float32)
    surfaces = encoder.to_surface(values)
    for hemisphere, part in (("lh", values[:60]), ("rh", values[60:])):
        np.testing.assert_array_equal(surfaces[hemisphere][places[hemisphere] > 0], part)
        assert np.isnan(surfaces[hemisphere][places[hemisphere] == 0]).all()
    with pytest.raises(PredictError, match=r"expected \(..., 125\)"):
        encoder.to_surface(values[:60])


def test_unknown_rois_name_the_nearest(encoder: Encoder) -> None:
    with pytest.raises(PredictError, match="no ROI 'FFA1'; did you mean 'FFA-1'"):
        encoder.predict(np.zeros((4, 4, 3), np.uint8), roi=["FFA1"])


def predict(data: Path, out: Path, images: Path, *options: object) -> tuple[int, str]:
    done = call("predict", "images", images, "--data", data, "--out", out, *options)
    return done.returncode, done.stdout + done.stderr


def table(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / "predictions" / name / "subj01.csv", index_col="picture")


@pytest.fixture
def photos(simulated: Path, tmp_path: Path) -> Path:
    """Five pictures in nested folders, whose files are not those of the cache."""
    folder = tmp_path / "photos"
    for number, path in enumerate(Subject(simulated / "subj01").pictures("test")[:5]):
        target = folder / f"{number % 2}" / f"p{number}.bmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(target)
    (folder / "notes.txt").write_text("taken on a walk")
    return folder


@pytest.fixture
def place(out: Path, tmp_path: Path) -> Path:
    """Copy the output folder."""
    return shutil.copytree(out, tmp_path / "out")


def test_sources_of_pictures_agree(simulated: Path, place: Path, photos: Path) -> None:
    status, printed = predict(simulated, place, photos, "--subject", "01")
    assert status == 0, printed
    assert "5 pictures, 1 other file left out" in printed
    assert "SIMULATED" in printed
    expected = table(place, "photos")
    assert list(expected.index) == ["0/p0.bmp", "0/p2.bmp", "0/p4.bmp", "1/p1.bmp", "1/p3.bmp"]
    paths = [photos / name for name in expected.index]
    encoder = load_encoder([place / "fits" / name for name in FITS], "01", simulated)
    means = encoder.predict(paths, mean=True)
    np.testing.assert_allclose(expected[list(means)].to_numpy(), means, rtol=1e-4, atol=1e-5)
    novelty = encoder.novelty(paths)
    np.testing.assert_allclose(expected["distance"], novelty["distance"], rtol=1e-4)

    listing = photos.parent / "list.csv"
    with listing.open("w", newline="") as file:
        csv.writer(file).writerows([["picture"], *([f"photos/{n}"] for n in expected.index)])
    with zipfile.ZipFile(photos.parent / "zipped.zip", "w") as archive:
        for name in expected.index:
            archive.write(photos / name, name)
    with tarfile.open(photos.parent / "packed.tar.gz", "w:gz") as tar:
        tar.add(photos, "photos")
    shards = photos.parent / "shards"
    shards.mkdir()
    for number, part in enumerate((expected.index[:3], expected.index[3:])):
        with tarfile.open(shards / f"{number:05d}.tar", "w") as tar:
            for name in part:
                tar.add(photos / name, name)
    for source in (listing, photos.parent / "zipped.zip", photos.parent / "packed.tar.gz", shards):
        status, printed = predict(simulated, place, source, "--subject", "01")
        assert status == 0, printed
        same = table(place, source.name.partition(".")[0])
        np.testing.assert_allclose(
            same.to_numpy(), expected.loc[[n.removeprefix("photos/") for n in names(same)]]
        )


def names(predictions: pd.DataFrame) -> list[str]:
    """Return names without the folders and shards that they were read from."""
    return ["/".join(str(name).replace("::", "/").split("/")[-2:]) for name in predictions.index]


def test_only_new_pictures_are_computed(simulated: Path, place: Path, photos: Path) -> None:
    before = photos / "1" / "p3.bmp"
    content = before.read_bytes()
    before.unlink()
    assert "4 pictures predicted now, 0 before" in predict(simulated, place, photos)[1]
    before.write_bytes(content)
    (photos / "again.bmp").write_bytes(content)
    assert "1 picture predicted now, 4 before" in predict(simulated, place, photos)[1]
    first = table(place, "photos")
    np.testing.assert_array_equal(first.loc["again.bmp"], first.loc["1/p3.bmp"])
    printed = predict(simulated, place, photos, "--vertices", "float16")[1]
    assert "5 pictures predicted now" in printed
    store = FeatureStore(place / "predictions" / "photos")
    (entry,) = store.entries_named("subj01_vertices")
    vertices = store.read(entry, [picture_digest(content)], as_stored=True)
    assert vertices.dtype == np.float16
    assert vertices.shape == (1, 125)
    manifest = json.loads((place / "predictions" / "photos" / "manifest.json").read_text())
    assert manifest["encoders"]["subj01"]["simulated"] is True
    assert manifest["n_pictures"] == 6


def test_predictions_as_maps(simulated: Path, place: Path, photos: Path) -> None:
    options = ("--vertices", "float32", "--format", "npz,mgh")
    status, printed = predict(simulated, place, photos, *options)
    assert status == 0, printed
    folder = place / "predictions" / "photos"
    paths = [photos / name for name in table(place, "photos").index]
    encoder = load_encoder([place / "fits" / name for name in FITS], "01", simulated)
    surfaces = encoder.to_surface(encoder.predict(paths))
    with np.load(folder / "subj01.npz") as content:
        np.testing.assert_allclose(
            content["data"], np.concatenate([surfaces["lh"], surfaces["rh"]], 1), 1e-4, 1e-5
        )
    assert (folder / "subj01.rh.mgh").is_file()
    for bad, message in (
        (("--format", "npz"), "add --vertices float32"),
        (("--vertices", "float32", "--format", "nifti"), "--format: found 'nifti'"),
    ):
        status, printed = predict(simulated, place, photos, *bad)
        assert status == 2
        assert message in printed


def test_bad_pictures_are_named(simulated: Path, place: Path, photos: Path) -> None:
    damaged = photos / "1" / "p1.bmp"
    damaged.write_bytes(damaged.read_bytes()[:100])
    status, printed = predict(simulated, place, photos)
    assert status == 2
    assert "1/p1.bmp: not decoded" in printed
    assert not (place / "predictions" / "photos" / "subj01.csv").exists()
    status, printed = predict(simulated, place, photos, "--skip-damaged")
    assert status == 0, printed
    assert "left out: 1/p1.bmp: not decoded" in printed
    assert len(table(place, "photos")) == 4


def test_bad_sources_are_refused(simulated: Path, place: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.csv").write_text("file\na.png\n")
    (tmp_path / "missing.csv").write_text("picture\na.png\n")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut short")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", b"2")
    for name, message in {
        "empty": "holds no pictures",
        "list.csv": "has columns file, expected a column `picture`",
        "missing.csv": "1 of 1 pictures are missing",
        "cut.zip": "expected a whole zip",
        "twice.zip": r"1 picture listed twice \(first: a.png\)",
        "nowhere": "missing; expected a picture",
    }.items():
        status, printed = predict(simulated, place, tmp_path / name)
        assert status == 2
        assert pd.Series([printed]).str.contains(message).all(), printed
        assert not (place / "predictions").exists()


def test_subjects_and_fits_are_checked(simulated: Path, place: Path, photos: Path) -> None:
    for options, message in (
        (("--subject", "02"), "no fits of 02; there are fits of 01"),
        (("--roi", "FFA1"), "did you mean 'FFA-1'"),
        (("--fits", "bandet"), "did you mean 'banded'"),
        (("--ensemble", "best"), "--ensemble: found 'best'"),
        (("--weights", "clip=a.pt"), "--weights clip=a.pt: expected SPACE=FILE with a space from"),
    ):
        status, printed = predict(simulated, place, photos, *options)
        assert status == 2, printed
        assert message in printed


def test_features_of_another_version_are_refused(
    simulated: Path, place: Path, photos: Path, tmp_path: Path
) -> None:
    tensors = torchvision_weights()
    torch.save(tensors, tmp_path / "other.pt")
    status, printed = predict(
        simulated, place, photos, "--weights", f"{SPACES[0]}={tmp_path / 'other.pt'}"
    )
    assert status == 2
    assert "are not those of the fit (different: weights.digest" in printed


def torchvision_weights() -> dict[str, torch.Tensor]:
    """Return weights of AlexNet's convolutions that are not the published ones."""
    import torchvision

    torch.manual_seed(1)
    return dict(torchvision.models.alexnet(weights=None).state_dict())


def test_a_full_disk_is_refused_beforehand(
    simulated: Path, place: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(place)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    status, printed = predict(simulated, place, photos, "--vertices", "float32")
    assert status == 2
    assert "choose --vertices float16 or none" in printed
    assert not (place / "predictions").exists()


@pytest.mark.slow
def test_a_kill_loses_no_finished_picture(simulated: Path, place: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(700):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    words = ["-m", "predict", "images", folder, "--data", simulated, "--out", place]
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        shards = place / "predictions" / "many"
        deadline = time.monotonic() + 120
        while not list(shards.glob("*.shards/shard-*.h5")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    status, printed = predict(simulated, place, folder)
    assert status == 0, printed
    n_now = int(printed.partition(" pictures predicted now")[0].split()[-1])
    assert 0 < n_now < 700
    assert len(table(place, "many")) == 700
