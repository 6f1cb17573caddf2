"""Fits are found, named and read; those of other data, or damaged, are refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base import RoiridgeError
from cache import read_artifact, write_artifact
from challenge import find_subjects
from evaluate.fits.inputs import gather
from evaluate.fits.runs import find_runs
from tests.builders.fits import DIGEST, load, regions, rewrite, write_fits


def test_runs_are_labelled_by_their_folder_alone(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    write_fits(tmp_path, simulated, spaces=("clip",), digest="c" * 16, subject="01")
    before = [(r.label, r.joined) for r in find_runs(tmp_path)]
    assert before == [("ridge-012345", "alexnet"), ("ridge-cccccc", "clip")]
    write_fits(tmp_path, simulated, digest="d" * 16, subject="01")
    labels = {(r.label, r.joined) for r in find_runs(tmp_path)}
    assert labels == {*before, ("ridge-dddddd", "alexnet")}
    assert [r.name for r in find_runs(tmp_path, ["ridge-c"])] == ["ridge-" + "c" * 16]


def test_without_fits_says_what_to_run(simulated: Path, tmp_path: Path) -> None:
    with pytest.raises(RoiridgeError, match=r"make features OUT=.*make fit OUT="):
        find_runs(tmp_path)
    write_fits(tmp_path, simulated, subject="01")
    with pytest.raises(RoiridgeError, match="no fits named banded: there are ridge-0123"):
        find_runs(tmp_path, ["banded"])
    with pytest.raises(RoiridgeError, match=r"no fits of subject 02.*SUBJECT=02"):
        gather(simulated, tmp_path, "02")
    with pytest.raises(RoiridgeError, match="unknown ROI class nose: choose from prf-visualrois"):
        gather(simulated, tmp_path, roi_classes=["nose"])
    with pytest.raises(RoiridgeError, match="unknown split"):
        gather(simulated, tmp_path, split="train")


def test_an_artifact_that_is_no_fit(simulated: Path, tmp_path: Path) -> None:
    path = tmp_path / "fits" / "ridge-0" / "subj01" / "lh.V1v.h5"
    write_artifact(path, {}, {"kind": "moments"})
    with pytest.raises(RoiridgeError, match=r"lh\.V1v\.h5: is not a fit"):
        find_runs(tmp_path)


def test_changed_responses_make_fits_stale(
    broken: Callable[[], Path], simulated: Path, tmp_path: Path
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    assert load(data, tmp_path).n_vertices == len(find_subjects(data)[0].responses("lh")[0])
    file = Path(str(find_subjects(data)[0].responses("lh").filename))
    np.save(file, np.load(file) + np.float32(1))
    with pytest.raises(RoiridgeError, match=r"lh\..*\.h5: is stale.*make fit SUBJECT=.* again"):
        load(data, tmp_path)


def test_other_test_pictures_make_fits_stale(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    path = tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.V1v.h5"
    pictures = read_artifact(path)[0]["test_pictures"]
    rewrite(path, test_pictures=pictures[::-1])
    with pytest.raises(
        RoiridgeError, match=r"lh\.V1v\.h5: is stale, the test pictures changed \(12 now"
    ):
        load(simulated, tmp_path)
    rewrite(path, test_pictures=pictures, vertices=np.array([5, 6, 9]))
    with pytest.raises(RoiridgeError, match=r"lh\.V1v\.h5: is stale, its 3 vertices"):
        load(simulated, tmp_path)


def test_other_training_pictures_make_fits_stale(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    path = tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.V1v.h5"
    rewrite(path, training_pictures=read_artifact(path)[0]["training_pictures"][:-1])
    with pytest.raises(RoiridgeError, match=r"stale, the training pictures changed \(40 now"):
        load(simulated, tmp_path)


def test_fits_that_held_out_different_pictures(simulated: Path, tmp_path: Path) -> None:
    def shift(arrays: dict[str, Any], _: dict[str, Any]) -> None:
        arrays["heldout_rows"] = arrays["heldout_rows"] + 1

    write_fits(tmp_path, simulated, subject="01")
    write_fits(tmp_path, simulated, model="ols_pca", subject="01", change=shift)
    with pytest.raises(RoiridgeError, match=r"(?s)ridge-.*ols_pca-.*same seed and held-out share"):
        load(simulated, tmp_path)


def test_a_flipped_byte_is_an_error_that_names_the_file(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    path = tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.V1v.h5"
    model = next(m for m in load(simulated, tmp_path).models if m.path == path)
    predictions = model.predictions("test")
    raw = bytearray(path.read_bytes())
    place = raw.find(predictions.tobytes()[:32])
    assert place > 0, "the predictions stand in the file as they are"
    raw[place] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(RoiridgeError, match=r"lh\.V1v\.h5"):
        model.read("test_predictions", "heldout_predictions", "training_pictures", "vertices")


def test_predictions_of_another_shape(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    hemisphere = load(simulated, tmp_path)
    first = hemisphere.models[0]
    rewrite(first.path, test_predictions=first.predictions("test")[:-1])
    with pytest.raises(RoiridgeError, match=r"test_predictions has shape \(11, .*expected \(12, "):
        hemisphere.predictions(0, "test")


def test_predictions_that_are_not_finite(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    model = load(simulated, tmp_path).models[0]
    predictions = model.predictions("test").copy()
    predictions[0, 0] = np.nan
    rewrite(model.path, test_predictions=predictions)
    with pytest.raises(RoiridgeError, match=r"NaN or infinity.*make fit SUBJECT=.* again"):
        model.predictions("test")


def test_a_training_picture_that_changed_makes_fits_stale(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    pictures = find_subjects(data)[0].pictures("train")
    pictures[3].write_bytes(pictures[4].read_bytes())
    with pytest.raises(
        RoiridgeError, match=r"stale, the training pictures .* make fit .* again.*run"
    ):
        load(data, tmp_path)


def relabel(data: Path, roi_class: str, change: Callable[[np.ndarray], object]) -> None:
    file = data / f"subj01/roi_masks/lh.{roi_class}_challenge_space.npy"
    labels = np.load(file)
    change(labels)
    np.save(file, labels)


def residual(data: Path) -> np.ndarray:
    return {roi: v for _, roi, v in regions(find_subjects(data)[0], "lh")}["residual"]


def test_a_residual_that_changed_makes_its_fit_stale(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    rest = residual(data)
    assert len(rest) > 1

    def grow(labels: np.ndarray) -> None:
        labels[rest[0]] = 3

    relabel(data, "floc-places", grow)
    # RSC's fit is stale as well: the residual's must be known to be without it.
    (tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.RSC.h5").unlink(missing_ok=True)
    with pytest.raises(RoiridgeError, match=rf"residual.h5: is stale, its {len(rest)} vertices"):
        load(data, tmp_path)


@pytest.mark.parametrize("gone", ["OPA", "residual"])
def test_a_fit_of_a_roi_that_is_empty_now(
    broken: Callable[[], Path], tmp_path: Path, gone: str
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    rest = residual(data)

    def drop(labels: np.ndarray) -> None:
        if gone == "OPA":
            labels[labels == 1] = 0
        else:
            labels[rest] = 3

    relabel(data, "floc-places", drop)
    (tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.RSC.h5").unlink(missing_ok=True)
    with pytest.raises(
        RoiridgeError,
        match=rf"lh.{gone}.h5: .* no vertices in .*delete it, or run make fit .* again",
    ):
        load(data, tmp_path)


def test_twins_tell_what_differs(simulated: Path, tmp_path: Path) -> None:
    def settings(parameters: dict[str, Any], key: str) -> Callable[..., None]:
        def change(_: dict[str, Any], meta: dict[str, Any]) -> None:
            usual = {"alphas": [1, 2], "scope": "vertex"}
            left = {name: value for name, value in usual.items() if name not in parameters}
            meta["settings"] = {"parameters": parameters, "defaults": left, "folds": 5, "seed": 0}
            meta["keys"] = {"alexnet": key, "clip": "same"}

        return change

    grid = [10.0**i for i in range(-5, 9)]
    for digest, change in (
        ("a" * 16, settings({"alphas": [1, 10]}, "0" * 64)),
        ("b" * 16, settings({"alphas": grid}, "1" * 64)),
        ("c" * 16, settings({}, "1" * 64)),
    ):
        write_fits(tmp_path, simulated, digest=digest, subject="01", change=change)
    write_fits(tmp_path, simulated, spaces=("clip",), digest="d" * 16, subject="01")
    assert {run.label: run.differs for run in find_runs(tmp_path)} == {
        "ridge-aaaaaa": "alphas=[1, 10], features of alexnet=000000000000…",
        "ridge-bbbbbb": "alphas=[1e-05 … 1e+08, 14 values], features of alexnet=111111111111…",
        "ridge-cccccc": "alphas=[1, 2], features of alexnet=111111111111…",
        "ridge-dddddd": "",
    }
    assert [run.differs for run in find_runs(tmp_path, ["ridge-a"])] == [""]
