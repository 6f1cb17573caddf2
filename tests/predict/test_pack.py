"""Packs of encoders: the same predictions elsewhere, and nothing of a hostile file."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from base import RoiridgeError, sha256_files
from cache import read_artifact, write_artifact
from predict import Encoder, load_encoder
from predict.packs.pack import unpack_encoder
from tests.builders.commands import call
from tests.builders.paths import ROOT

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)


def pack(data: Path, out: Path, file: Path, *options: object) -> str:
    done = call("predict", "pack", file, "--data", data, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="package")
def packed(simulated: Path, out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pack of the ensemble of both fits; read it only."""
    file = tmp_path_factory.mktemp("packs") / "encoder.zip"
    assert "1 subject" in pack(simulated, out, file, "--licence", "CC-BY-4.0")
    return file


def test_the_same_predictions_without_the_data(packed: Path, encoder: Encoder) -> None:
    shared = load_encoder(packed, "01", data="nowhere")
    # The same operations in the same order: bit for bit.
    np.testing.assert_array_equal(shared.predict(PICTURE), encoder.predict(PICTURE))
    expected = encoder.predict(PICTURE, ["FFA-1"], mean=True)
    np.testing.assert_array_equal(shared.predict(PICTURE, ["FFA-1"], mean=True), expected)
    np.testing.assert_array_equal(shared.novelty(PICTURE), encoder.novelty(PICTURE))
    assert shared.rois.equals(encoder.rois)
    assert shared.simulated
    assert shared.to_surface(shared.predict(PICTURE))["rh"].shape == (1, 163842)


def test_unpacked_in_another_process(packed: Path, tmp_path: Path, encoder: Encoder) -> None:
    done = call("predict", "unpack", packed, "--to", tmp_path / "theirs")
    assert done.returncode == 0, done.stderr
    Image.fromarray(PICTURE).save(tmp_path / "one.png")
    code = (
        "import sys, roiridge as rr; encoder = rr.load_encoder(sys.argv[1], '01');"
        "print(encoder.predict(sys.argv[2]).tobytes().hex())"
    )
    words = [sys.executable, "-c", code, tmp_path / "theirs", tmp_path / "one.png"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    predicted = np.frombuffer(bytes.fromhex(run.stdout.strip()), np.float32)
    # Another process has other threads.
    np.testing.assert_allclose(predicted, encoder.predict(PICTURE)[0], rtol=1e-4, atol=1e-5)
    again = call("predict", "unpack", packed, "--to", tmp_path / "theirs")
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_the_command_takes_a_pack(packed: Path, tmp_path: Path, encoder: Encoder) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "one.png")
    options = ("--fits", packed, "--out", tmp_path / "out", "--data", "nowhere")
    done = call("predict", "images", tmp_path / "one.png", *options)
    assert done.returncode == 0, done.stderr
    header, row = (tmp_path / "out" / "predictions" / "one" / "subj01.csv").read_text().splitlines()
    means = dict(zip(header.split(","), row.split(","), strict=True))
    expected = encoder.predict(PICTURE, ["lh.V1v"], mean=True)["lh.V1v"][0]
    assert float(means["lh.V1v"]) == pytest.approx(float(expected), rel=1e-4, abs=1e-5)
    unknown = call("predict", "images", tmp_path / "one.png", *options, "--subject", "02")
    assert unknown.returncode == 2
    assert "has no subject 02, it has 01" in unknown.stderr


def test_no_picture_response_or_path_is_in_a_pack(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    unpack_encoder(packed, folder)
    for file in folder.rglob("*.h5"):
        arrays, meta = read_artifact(file)
        assert not {n for n in arrays if "pictures" in n or "heldout_" in n or "test_" in n}
        assert not {"inputs", "responses", "contents"} & set(meta)
        assert "command" not in meta.get("provenance", {})
    card = (folder / "model-card.md").read_text()
    for text in ("**Responses: SIMULATED**", "40 training pictures, of which",
                 "Licence: CC-BY-4.0", "None were computed", "both", "banded"):  # fmt: skip
        assert text in card


def test_half_the_bits(simulated: Path, out: Path, tmp_path: Path, encoder: Encoder) -> None:
    pack(simulated, out, tmp_path / "half.zip", "--dtype", "float16")
    half = load_encoder(tmp_path / "half.zip", "01").predict(PICTURE)
    expected = encoder.predict(PICTURE)
    assert not np.array_equal(half, expected)
    # float16 has three digits; sums of products of some hundred columns keep two.
    np.testing.assert_allclose(half, expected, atol=0.02 * np.abs(expected).max())


def test_a_trained_fit_is_packed_with_the_weights_that_its_rois_share(
    simulated: Path, out: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(out, tmp_path / "out")
    options = (
        "--model",
        "unet",
        "--spaces",
        "pixels:8",
        "--group_by",
        "brain",
        "--name",
        "unet-1",
    )
    where = ("--data", simulated, "--out", place, "--subject", "01", "--device", "cpu")
    done = call("regress", *where, *options, "--params.epochs", 1, "--params.depth", 2)
    assert done.returncode == 0, done.stderr
    pack(simulated, place, tmp_path / "unet.zip", "--fits", "unet-1")
    expected = load_encoder(place / "fits" / "unet-1", "01", simulated).predict(PICTURE)
    np.testing.assert_array_equal(
        load_encoder(tmp_path / "unet.zip", "01").predict(PICTURE), expected
    )


def repack(packed: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the pack anew with other members, and a manifest that is right for them."""
    with zipfile.ZipFile(packed) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members)
    folder = target.parent / "members"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    entries = []
    for number, (name, content) in enumerate(members.items()):
        (folder / str(number)).write_bytes(content)
        (sha256,) = sha256_files([folder / str(number)])
        entries.append({"file": name, "bytes": len(content), "sha256": sha256})
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.writestr("manifest.json", json.dumps({**manifest, "files": entries}))
    return target


def change_arrays(
    name: str, folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]
) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the arrays and meta of a member."""

    def apply(members: dict[str, bytes]) -> None:
        (key,) = [n for n in members if n.endswith(name)][:1]
        (folder / "a.h5").write_bytes(members[key])
        arrays, meta = read_artifact(folder / "a.h5")
        change(arrays, meta)
        write_artifact(folder / "a.h5", arrays, meta)
        members[key] = (folder / "a.h5").read_bytes()

    return apply


def test_hostile_members_are_refused(packed: Path, tmp_path: Path) -> None:
    for name in (
        "../x.h5",
        "/tmp/x.h5",
        "fits/../../x.h5",
        ".x.h5",
        "x.py",
        "a/b/c/d/e.h5",
        "a b.h5",
    ):
        hostile = repack(
            packed, tmp_path / "hostile.zip", lambda m, name=name: m.update({name: b"x"})
        )
        with pytest.raises(RoiridgeError, match=r"do not trust this file"):
            unpack_encoder(hostile, tmp_path / "theirs")
        assert not (tmp_path / "theirs").exists()
    assert not list(tmp_path.glob(".unpack*"))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("subj01.h5", lambda a, _: a.update(weights=a["weights"][:-1]), "weights: found"),
        ("subj01.h5", lambda a, _: a.update(vertices=a["vertices"] + 10**6), "vertices: range"),
        ("subj01.h5", lambda a, _: a.update({"roi.0": np.array([-1])}), "roi: range"),
        ("subj01.h5", lambda _, m: m.pop("rois"), "is not of an encoder"),
        ("subj01.h5", lambda _, m: m["models"][0].update(path="../../x.h5"), "path '../../x.h5'"),
        ("subj01.h5", lambda a, _: a.update({"readout.0": a["readout.0"][:5]}), "features differ"),
        ("lh.V1v.h5", lambda a, _: a.update(coef_=a["coef_"][:, :-1]), "vertices"),
        ("lh.V1v.h5", lambda _, m: m.update(kind="moments"), "holds 'moments'"),
        ("lh.V1v.h5", lambda _, m: m.update(shared="../../../x"), "shared weights"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_belong_together_are_refused(
    packed: Path, tmp_path: Path, name: str, change: Callable[..., None], message: str
) -> None:
    hostile = repack(packed, tmp_path / "hostile.zip", change_arrays(name, tmp_path, change))
    with pytest.raises(RoiridgeError, match=message):
        unpack_encoder(hostile, tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


def test_a_pack_cut_short_or_of_another_kind(
    packed: Path, out: Path, tmp_path: Path, encoder: Encoder
) -> None:
    content = packed.read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    assert call("cache", "pack", "pixels:8", tmp_path / "spaces.zip", "--out", out).returncode == 0
    for name, message in {
        "cut.zip": "was cut short; copy it again",
        "spaces.zip": "holds roiridge feature spaces with schema 1, expected roiridge encoder",
        "nowhere.zip": "there is no such file",
    }.items():
        with pytest.raises(RoiridgeError, match=message):
            load_encoder(tmp_path / name, "01")


def test_a_hub_that_cannot_be_reached(
    packed: Path, simulated: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RoiridgeError, match=r"hf:someone/encoder: no pack there: .*name the file"):
        load_encoder("hf:someone/encoder", "01")
    done = call("predict", "pack", tmp_path / "new.zip", "--data", simulated, "--out", out,
                "--push", "someone/encoder")  # fmt: skip
    assert done.returncode == 2
    assert "--push someone/encoder: not uploaded" in done.stderr
    assert (tmp_path / "new.zip").is_file()
