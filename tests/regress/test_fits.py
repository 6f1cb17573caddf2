"""Fits of a small simulated dataset: what is saved, what is skipped, what is fitted again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base import plugin_names
from cache import FeatureStore, read_artifact, read_meta
from challenge import HEMISPHERES, find_subjects
from regress import load_design, load_fit, models
from regress.data.design import find_spaces
from regress.fitting.settings import Settings
from tests.builders.commands import call

TRAINED = ("linear", "mlp", "conv1d", "positional", "shallow", "diffusion")
# These read pictures, and see them as small as they can be.
ON_PICTURES = {
    "unet": (),
    "vit": ("--params.network", "test_vit", "--params.weights", "random:0"),
}
KEYS = {name: {"made": "by the test", "name": name} for name in ("semantic", "noise")}
KEYS["picture"] = {"family": "pixels"}


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that know the truth for one space, and nothing for another."""
    out = tmp_path_factory.mktemp("fits")
    store = FeatureStore(out / "features")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :20]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row + 0.3 * rng.standard_normal(20))
    values = np.array(list(rows.values()), np.float32)
    noise = rng.standard_normal((len(rows), 30)).astype(np.float32)
    picture = rng.integers(0, 256, (len(rows), 3 * 16 * 16), np.uint8)
    for name, table in (("semantic", values), ("noise", noise), ("picture", picture)):
        with store.writer(name, KEYS[name], {"origin": "the test"}) as writer:
            writer.add(list(rows), table)
    return out


@pytest.fixture
def out(features: Path, tmp_path: Path) -> Path:
    """Give each test a folder of its own with the same features."""
    shutil.copytree(features / "features", tmp_path / "out" / "features")
    return tmp_path / "out"


def _regress(data: Path, out: Path, *more: str, model: str = "ridge", **env: str) -> str:
    asked = ["--data", str(data), "--out", str(out), "--model", model, "--device", "cpu"]
    asked += ["--spaces", *(more or ("semantic",))]
    if env:
        command = [sys.executable, "-m", "regress", *asked]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})
    else:
        done = call("regress", *asked)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def _fits(out: Path) -> dict[str, Path]:
    return {"/".join(p.parts[-2:]): p for p in sorted(out.glob("fits/*/subj*/[!.]*.h5"))}


@pytest.mark.slow
@pytest.mark.parametrize("model", plugin_names(models))
def test_a_file_for_every_roi_with_vertices(simulated: Path, out: Path, model: str) -> None:
    quick = ("--params.epochs", "3") if model in TRAINED else ()
    spaces = ["semantic", "noise"]
    if model == "diffusion":
        quick += ("--params.samples", "2", "--params.steps", "5")
    if model in ON_PICTURES:
        spaces, quick = ["picture"], ("--params.epochs", "1", *ON_PICTURES[model])
    assert _regress(simulated, out, *spaces, *quick, model=model).startswith("0\n")
    expected = {}
    for subject in find_subjects(simulated):
        for hemisphere in HEMISPHERES:
            covered = np.zeros(subject.n_vertices(hemisphere), bool)
            for roi in subject.rois(hemisphere):
                covered[roi.vertices] = True
                if len(roi.vertices):
                    expected[f"subj{subject.name}/{hemisphere}.{roi.name}.h5"] = roi.vertices
            if not covered.all():
                expected[f"subj{subject.name}/{hemisphere}.residual.h5"] = np.flatnonzero(~covered)
    fits = _fits(out)
    assert sorted(fits) == sorted(expected)
    store = FeatureStore(out / "features")
    entries = find_spaces(store, spaces)
    designs = {s.name: load_design(s, store, entries) for s in find_subjects(simulated)}
    for name, path in fits.items():
        arrays, meta = read_artifact(path)
        design = designs[meta["subject"]]
        np.testing.assert_array_equal(arrays["vertices"], expected[name])
        assert meta["spaces"] == spaces
        assert meta["model"] == model
        assert meta["simulated"] is True
        assert meta["provenance"]["versions"]["himalaya"]
        # predict from the file gives the numbers that are stored, to the bit; those of models whose
        # vertices are one were predicted all together, which rounds differently
        loaded, _ = load_fit(path)
        if hasattr(loaded, "coef_"):
            assert loaded.coef_.shape == (50, len(expected[name]))
            assert loaded.coef_.dtype == np.float32
        stored, rounding = arrays["test_predictions"], 1e-5 if loaded.together else 0
        np.testing.assert_allclose(loaded.predict(design.test), stored, rtol=0, atol=rounding)
        held = arrays["heldout_rows"]
        assert 0 < len(held) < len(design.train)
        assert arrays["heldout_predictions"].shape == (len(held), len(expected[name]))


def test_held_out_pictures_leave_no_trace_in_their_predictions(
    broken: Callable[[], Path], out: Path
) -> None:
    data = broken()
    assert _regress(data, out).startswith("0\n")
    (path,) = [p for name, p in _fits(out).items() if name == "subj01/lh.V1v.h5"]
    before, _ = read_artifact(path)
    file = data / "subj01" / "training_split" / "training_fmri" / "lh_training_fmri.npy"
    responses = np.load(file)
    rng = np.random.default_rng(0)
    responses[before["heldout_rows"]] += rng.standard_normal(responses.shape[1]) * 100
    np.save(file, responses)
    said = _regress(data, out)
    assert "subj01 lh: 0 models there already" in said, "changed responses, but no new fit"
    assert "subj01 rh: 0 models there already" not in said
    after, _ = read_artifact(path)
    np.testing.assert_array_equal(before["heldout_predictions"], after["heldout_predictions"])
    assert (before["test_predictions"] != after["test_predictions"]).any()


def test_a_second_run_fits_nothing(simulated: Path, out: Path) -> None:
    first = _regress(simulated, out)
    assert " 0 models there already" in first
    stamps = {p: p.stat().st_mtime_ns for p in _fits(out).values()}
    second = _regress(simulated, out)
    assert second.startswith("0\n")
    assert second.count(", 0 to fit") == 4
    assert {p: p.stat().st_mtime_ns for p in _fits(out).values()} == stamps
    # A fit that is gone or damaged is made again, and only that one.
    gone, hurt = sorted(stamps)[3], sorted(stamps)[-1]
    gone.unlink()
    hurt.write_bytes(hurt.read_bytes()[:500])
    third = _regress(simulated, out)
    assert third.count(", 1 to fit") == 2
    assert "damaged or cut short" in third
    changed = [p for p in _fits(out).values() if p.stat().st_mtime_ns != stamps[p]]
    assert changed == [gone, hurt]


def test_a7_an_roi_fitted_alone_is_the_same_but_for_rounding_which_is_said(
    simulated: Path, out: Path
) -> None:
    assert "last digits" not in _regress(simulated, out)
    path = _fits(out)["subj01/lh.V2v.h5"]
    together, _ = read_artifact(path)
    path.unlink()
    said = _regress(simulated, out)
    assert "subj01 lh: sums are rounded in another order when fewer vertices are fitted" in said
    assert f"remove {path.parent.parent} and fit again" in said
    assert said.count("last digits") == 1
    alone, _ = read_artifact(path)
    np.testing.assert_array_equal(alone["best_alphas_"], together["best_alphas_"])
    for name in ("coef_", "test_predictions", "heldout_predictions"):
        np.testing.assert_allclose(alone[name], together[name], rtol=1e-4, atol=1e-5)


def test_settings_and_features_make_another_fit(simulated: Path, out: Path) -> None:
    _regress(simulated, out)
    for more in (["--seed", "1"], ["--folds", "4"], ["--params.alphas", "[1, 1000]"]):
        before = len(list(out.glob("fits/*")))
        assert _regress(simulated, out, "semantic", *more).startswith("0\n")
        assert len(list(out.glob("fits/*"))) == before + 1
    assert _regress(simulated, out, "noise").startswith("0\n")
    metas = [read_meta(next(folder.rglob("*.h5"))) for folder in out.glob("fits/*")]
    assert len({meta["digest"] for meta in metas}) == 5


def test_killed_while_fitting_then_finished(simulated: Path, out: Path) -> None:
    command = [sys.executable, "-m", "regress", "--data", str(simulated), "--out", str(out)]
    command += ["--model", "ridge", "--device", "cpu", "--spaces", "semantic"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(_fits(out)) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert len(_fits(out)) >= 5
    for path in _fits(out).values():
        read_artifact(path)
    done = _regress(simulated, out)
    assert done.startswith("0\n")
    assert _regress(simulated, out).count(", 0 to fit") == 4


@pytest.mark.slow
def test_a_killed_search_is_taken_up(simulated: Path, out: Path) -> None:
    command = [sys.executable, "-m", "regress", "--data", str(simulated), "--out", str(out)]
    command += ["--model", "banded_ridge", "--device", "cpu", "--spaces", "semantic", "noise"]
    command += ["--subject", "01", "--params.n_iter", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while first.poll() is None and not list(out.glob("searches/*/[!.]*.h5")):
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    (kept,) = out.glob("searches/*/[!.]*.h5")
    assert kept.name.startswith("subj01.lh.0-0-")
    done = len(read_artifact(kept)[0]["tried"])
    assert done > 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        lines = iter(second.stdout)
        said = next((line for line in lines if "goes on" in line), "")
        second.send_signal(signal.SIGKILL)
    assert said.strip() == f"the search goes on after {done} weightings"


def test_a_finished_search_leaves_nothing(simulated: Path, out: Path) -> None:
    more = ("semantic", "noise", "--params.n_iter", "4", "--params.patience", "2")
    assert _regress(simulated, out, *more, model="banded_ridge").startswith("0\n")
    assert not list(out.glob("searches/*/*"))


@pytest.mark.parametrize("model", ["ridge", "banded_ridge"])
def test_an_roi_chooses_together(simulated: Path, out: Path, model: str) -> None:
    more = ("semantic", "noise", "--params.scope", "roi")
    assert _regress(simulated, out, *more, model=model).startswith("0\n")
    chosen = "best_alphas_" if model == "ridge" else "deltas_"
    for path in _fits(out).values():
        values = read_artifact(path, [chosen])[0][chosen]
        assert (values == values[..., :1]).all()
        # The model's own arguments, as it is loaded again.
        assert load_fit(path)[0].scope == "roi"
    # Fitted alone it is the same: overlapping ROIs do not vote for each other.
    path = _fits(out)["subj01/lh.V2v.h5"]
    together, _ = read_artifact(path)
    path.unlink()
    _regress(simulated, out, *more, model=model)
    alone, _ = read_artifact(path)
    np.testing.assert_allclose(alone[chosen], together[chosen], rtol=1e-6)
    np.testing.assert_allclose(alone["coef_"], together["coef_"], rtol=1e-4, atol=1e-5)


def test_bad_input(broken: Callable[[], Path], out: Path, tmp_path: Path) -> None:
    data = broken()
    assert "error: no features named 'clip' in" in _regress(data, out, "clip")
    assert "error: unknown model 'rigde': choose from banded_ridge" in _regress(
        data, out, model="rigde"
    )
    assert "--params: ridge has no parameter n_iter; it has alphas" in _regress(
        data, out, "semantic", "--params.n_iter", "3"
    )
    assert "--params: alphas: found [-1], expected a list of positive numbers" in _regress(
        data, out, "semantic", "--params.alphas", "[-1]"
    )
    for wrong in (["--params.n_iter", "0"], ["--params.n_iter", "2.5"], ["--params.alphas", "x"]):
        said = _regress(data, out, "semantic", *wrong, model="banded_ridge")
        assert said.startswith("2\n")
        assert "error: --params: " in said
    assert "--spaces: none given" in _regress(data, out, "--seed", "0")
    assert "error: --folds 500: there are" in _regress(data, out, "semantic", "--folds", "500")
    assert "HIMALAYA_SKIP_FIT is set" in _regress(data, out, HIMALAYA_SKIP_FIT="1")
    assert "error: --device" in _regress(data, out, "semantic", "--device", "cuda")
    assert not _fits(out)

    file = data / "subj02" / "training_split" / "training_fmri" / "rh_training_fmri.npy"
    responses = np.load(file)
    responses[4, 7] = np.nan
    np.save(file, responses)
    said = _regress(data, out)
    assert said.startswith("2\n")
    assert "Traceback" not in said
    assert "rh_training_fmri.npy" in said.split("error:")[1]
    # What was whole is fitted and kept.
    assert "subj01/rh.V1v.h5" in _fits(out)
    assert not [name for name in _fits(out) if name.startswith("subj02/rh")]


def test_u6_what_is_wrong_with_the_right_hemisphere_is_said_before_the_left_is_fitted(
    broken: Callable[[], Path], out: Path
) -> None:
    data = broken()
    responses = data / "subj01/training_split/training_fmri/rh_training_fmri.npy"
    values = np.load(responses)
    np.save(responses, np.where(np.arange(values.shape[1]) == 3, np.nan, values))
    said = _regress(data, out, "semantic", "--subject", "01")
    assert "rh_training_fmri.npy: 40 values are NaN or infinite" in said
    assert not _fits(out)
    responses.unlink()
    (data / "subj02/roi_masks/mapping_streams.npy").unlink()
    (data / "subj02/test_split/test_images/").rename(data / "subj02/test_split/others")
    said = _regress(data, out)
    assert said.startswith("2\n")
    assert "error: 3 faults in the data:" in said
    for name in (responses, "mapping_streams.npy", "subj02/test_split/test_images"):
        assert f"{name}: missing" in said
    assert not _fits(out)


def test_e5_a6_names_of_regions_in_a_fit(broken: Callable[[], Path], out: Path) -> None:
    data = broken()
    mapping = data / "subj01/roi_masks/mapping_prf-visualrois.npy"
    names = {1: "V1", 2: "V1", 3: "V2", 4: "V2", 5: "V3", 6: "V3", 7: "hV4"}
    np.save(mapping, np.array({**names, 7: "n" * 300}, dtype=object))
    said = _regress(data, out, "semantic", "--subject", "01")
    assert said.startswith("2\n")
    assert "mapping_prf-visualrois.npy: label 7 is called 'nnn" in said
    assert "Traceback" not in said
    np.save(mapping, np.array(names, dtype=object))
    assert _regress(data, out, "semantic", "--subject", "01").startswith("0\n")
    labels = np.load(data / "subj01/roi_masks/lh.prf-visualrois_challenge_space.npy")
    arrays, _ = read_artifact(_fits(out)["subj01/lh.V1.h5"])
    np.testing.assert_array_equal(arrays["vertices"], np.flatnonzero(np.isin(labels, (1, 2))))


def test_n7_a_fit_says_which_classes_have_no_masks(broken: Callable[[], Path], out: Path) -> None:
    data = broken()
    for file in (data / "subj01/roi_masks").iterdir():
        if "streams" in file.name or "fsaverage" in file.name:
            file.unlink()
    said = _regress(data, out, "semantic", "--subject", "01")
    assert said.startswith("0\n")
    assert said.count("no masks of streams, so no ROIs of them") == 1
    assert not {"subj01/lh.early.h5", "subj01/lh.ventral.h5"} & {*_fits(out)}
    assert "subj01/lh.residual.h5" in _fits(out)


def test_a_picture_without_features(broken: Callable[[], Path], out: Path) -> None:
    data = broken()
    pictures = sorted((data / "subj01/training_split/training_images").glob("*.png"))
    shutil.copy(data / "subj01/roi_masks/lh.all-vertices_fsaverage_space.npy", out)
    from PIL import Image

    Image.open(pictures[0]).rotate(90).save(pictures[0])
    said = _regress(data, out)
    assert "has no row for 1 of 40 pictures: run `" in said
    assert "-m extract --spaces semantic --data" in said


def test_test_pictures_among_the_training_pictures_are_told(
    broken: Callable[[], Path], out: Path
) -> None:
    data = broken()
    test = sorted((data / "subj01/test_split/test_images").glob("*.png"))
    train = sorted((data / "subj01/training_split/training_images").glob("*.png"))
    shutil.copy(train[0], test[0])
    assert "warning: 1 test pictures of subj01 are among its training pictures" in _regress(
        data, out
    )


def test_an_roi_that_is_gone_leaves_no_model(broken: Callable[[], Path], out: Path) -> None:
    data = broken()
    _regress(data, out)
    gone = "subj01/lh.EBA.h5"
    assert gone in _fits(out)
    for space in ("fsaverage", "challenge"):
        file = data / "subj01" / "roi_masks" / f"lh.floc-bodies_{space}_space.npy"
        labels = np.load(file)
        labels[labels == 1] = 0
        np.save(file, labels)
    said = _regress(data, out)
    assert "lh.EBA.h5: the masks have no such ROI any more; removed" in said
    assert gone not in _fits(out)
    assert _regress(data, out).count(", 0 to fit") == 4


def test_the_order_of_spaces_is_that_of_the_columns(simulated: Path, out: Path) -> None:
    _regress(simulated, out, "semantic", "noise")
    _regress(simulated, out, "noise", "semantic")
    folders = list(out.glob("fits/*"))
    assert len(folders) == 2
    for folder in folders:
        store = FeatureStore(out / "features")
        path = folder / "subj01" / "lh.V1v.h5"
        model, meta = load_fit(path)
        subject = find_subjects(simulated)[0]
        design = load_design(subject, store, find_spaces(store, meta["spaces"]))
        stored = read_artifact(path, ["test_predictions"])[0]["test_predictions"]
        np.testing.assert_array_equal(model.predict(design.test), stored)


def test_an_old_encoding_and_a_reader_that_leaves_lose_nothing(simulated: Path, out: Path) -> None:
    old = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    said = _regress(simulated, out, "semantic", "--params.alphas", "[1, 3]", **old)
    assert said.startswith("0\n")
    assert "of the predictable vertices chose the highest alpha" in said
    n_fits = len(_fits(out))
    command = [sys.executable, "-m", "regress", "--data", str(simulated), "--out", str(out)]
    command += ["--model", "ridge", "--device", "cpu", "--spaces", "noise"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
    assert len(_fits(out)) == n_fits
    assert len(list(out.glob("fits/*/*/[!.]*.h5"))) == 2 * n_fits


def test_another_default_makes_another_fit() -> None:
    """A version whose models have other defaults does not take the fits of this one for its own."""
    keys = {"a": "0" * 16}

    def digest_of(parameters: dict[str, Any], defaults: dict[str, Any]) -> str:
        return Settings("linear", parameters, 0.1, 5, 0, defaults=defaults).digest(keys)

    usual = digest_of({}, {"lr": 3e-4, "loss": "mse"})
    assert digest_of({}, {"lr": 1e-3, "loss": "mse"}) != usual
    # Said or not, it is the same.
    assert digest_of({"lr": 3e-4}, {"loss": "mse"}) == usual
