"""Runs compared ROI by ROI on the command line; results.csv; the files of vertices."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from base import RoiridgeError
from cache import read_artifact
from challenge import find_subjects
from evaluate.__main__ import _expand_arguments
from evaluate.commands.compare import compare
from evaluate.commands.scores import scores
from evaluate.scoring.vertex_files import ARRAYS, read_vertices
from evaluate.tables.results_table import write_results
from tests.builders.fits import DIGEST, regions, write_fits
from tests.builders.scores import pick, read, run

RIDGE, BANDED = f"ridge-{DIGEST}", "banded_ridge-" + "b" * 16


@pytest.fixture(scope="module")
def out(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of two subjects, the second with less noise, scored."""
    folder = tmp_path_factory.mktemp("compared")
    write_fits(folder, simulated)
    write_fits(folder, simulated, "banded_ridge", ("alexnet", "clip"), "b" * 16, 0.3, seed=1)
    scores(simulated, folder, resamples=400, permutations=199)
    return folder


def test_the_table_and_csv_of_a_comparison(out: Path, simulated: Path) -> None:
    done = run("compare", "ridge", "banded", "ensemble", "--data", simulated, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "banded_ridge-bbbbbb less ridge-012345" in done.stdout
    assert "ensemble less ridge-012345" in done.stdout
    assert "SIMULATED" in done.stdout
    assert max(len(x) for x in done.stdout.splitlines() if str(out) not in x) <= 100
    assert "nan" not in done.stdout.lower()
    frame = pd.read_csv(out / "compare.csv", dtype={"subject": str})
    frame = frame[frame["second_fit"] == BANDED]
    scored = read(out)
    for _, row in frame.iterrows():
        place = {k: row[k] for k in ("subject", "hemisphere", "roi_class", "roi")}
        first = pick(scored, model="ridge", **place)
        second = pick(scored, model="banded_ridge", **place)
        assert row["n_vertices"] == first["n_vertices"]
        if pd.notna(first["score"]):
            assert row["difference"] == pytest.approx(second["score"] - first["score"], abs=1e-9)
            assert row["low"] <= row["difference"] <= row["high"]
    whole = pick(frame, subject="all", hemisphere="all", roi_class="all", roi="all")
    assert whole["low"] > 0
    assert whole["p"] < 0.01
    rois = frame[(frame["subject"] == "all") & (frame["hemisphere"] == "lh")]
    rois = rois[(rois["roi"] != "all") & rois["p"].notna()]
    assert len(rois) > 10
    assert (rois["q"] >= rois["p"]).all()
    assert json.loads((out / "compare.json").read_text())["runs"] == [RIDGE, BANDED, "ensemble"]


@pytest.mark.slow
def test_p_does_not_depend_on_which_comes_first(
    out: Path, simulated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["subject", "hemisphere", "roi_class", "roi"]
    for one, other in (("ridge", "banded"), ("ridge", "ensemble")):
        found = []
        for pair in ([one, other], [other, one]):
            compare(pair, simulated, out, resamples=400)
            frame = pd.read_csv(out / "compare.csv", dtype={"subject": str}).set_index(names)
            found.append(frame.sort_index())
        assert (found[0]["difference"] + found[1]["difference"]).abs().max() < 1e-9
        assert found[0]["p"].equals(found[1]["p"])
        assert (found[0]["p"].notna() == found[0]["difference"].notna()).all()
        assert found[0]["p"].min() >= 1 / 401
        assert found[0]["p"].max() > 0.2
    capsys.readouterr()


def test_what_cannot_be_compared_is_said(
    out: Path, simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names, words in (
        ([], r"found 0 runs, expected at least two .*ridge-0123456789abcdef \(alexnet\)"),
        (["ridge"], "found 1 run, expected at least two"),
        (["ridge", RIDGE], "two of these are the same run"),
        (["ridge", "sam"], "no fits named sam: there are"),
    ):
        with pytest.raises(RoiridgeError, match=words):
            compare(names, simulated, out)
    with pytest.raises(RoiridgeError, match="--resamples 50: expected at least 200"):
        compare(["ridge", "banded"], simulated, out, resamples=50)
    write_fits(tmp_path, simulated, subject="01")
    write_fits(tmp_path, simulated, digest="e" * 16, noise=0.5, seed=3, subject="01")
    with pytest.raises(RoiridgeError, match=r"ridge: 2 runs have names .*, name one: ridge-0"):
        compare(["ridge", "ensemble"], simulated, tmp_path)
    # A ROI that one of them lacks is not compared, nor are the means that it belongs to.
    (tmp_path / "fits" / ("ridge-" + "e" * 16) / "subj01" / "lh.OPA.h5").unlink()
    compare(["ridge-0", "ridge-e"], simulated, tmp_path, subject="01")
    assert "ridge-eeeeee less ridge-012345" in capsys.readouterr().out
    frame = pd.read_csv(tmp_path / "compare-01.csv", dtype={"subject": str})
    left = frame[frame["hemisphere"] == "lh"]
    assert "OPA" not in set(left["roi"])
    assert not ((left["roi_class"] == "floc-places") & (left["roi"] == "all")).any()
    assert "PPA" in set(left["roi"])


def test_held_out_pictures_without_ceilings_are_compared_by_r(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    for file in data.glob("subj*/*_split/noise_ceiling/*.npy"):
        file.unlink()
    write_fits(tmp_path, data)
    write_fits(tmp_path, data, "banded_ridge", digest="b" * 16, noise=0.3, seed=1)
    compare(["ridge", "banded"], data, tmp_path, split="heldout")
    frame = pd.read_csv(tmp_path / "compare.csv", dtype={"subject": str})
    assert set(frame["measure"]) == {"pearson_r"}
    whole = pick(frame, subject="all", hemisphere="all", roi_class="all", roi="all")
    assert 0 < whole["low"] < whole["difference"] < whole["high"] < 1


def test_results_have_every_run_and_subject(out: Path, simulated: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(out / "results.csv", dtype={"subject": str})
    assert list(frame.columns[:6]) == ["run", "model", "spaces", "parameters", "seed", "subject"]
    assert set(zip(frame["run"], frame["subject"], strict=True)) == {
        (name, subject) for name in (RIDGE, BANDED) for subject in ("01", "02")
    }
    row = pick(frame, run=RIDGE, subject="02")
    scored = pick(read(out), model="ridge", subject="02", hemisphere="all", roi_class="all")
    for name in ("score", "score_low", "score_high", "explained", "pearson_r", "n_vertices"):
        assert row[name] == pytest.approx(scored[name])
    assert row["n_fits"] == sum(len(regions(find_subjects(simulated, "02")[0], h)) for h in
                                ("lh", "rh"))  # fmt: skip
    # Fits that were made anew, and those never scored, have no scores.
    write_fits(tmp_path, simulated, subject="01")
    scores(simulated, tmp_path, subject="01", resamples=0, permutations=0)
    assert pd.read_csv(tmp_path / "results.csv")["score"].notna().all()
    write_fits(tmp_path, simulated, subject="01", change=lambda _, meta: meta.update(seed=1))
    write_fits(tmp_path, simulated, "ols_pca", digest="c" * 16, subject="01")
    done = run("results", "--out", tmp_path)
    assert "2 fits of 1 subject in 2 lines, 0 of them scored as they are now" in done.stdout
    assert pd.read_csv(write_results(tmp_path))["score"].isna().all()


def test_vertices_are_those_of_the_row_all(out: Path, simulated: Path) -> None:
    subject = find_subjects(simulated, "01")[0]
    scored = read(out)
    for name, model in ((RIDGE, "ridge"), ("ensemble", "ensemble")):
        found = read_vertices(out, name, "01")
        assert found.meta["model"] == model
        assert (found.meta["split"], found.meta["n_pictures"]) == ("test", 12)
        assert found.meta["simulated"] is True
        every = []
        for side in ("lh", "rh"):
            of = found.hemispheres[side]
            assert set(of) == set(ARRAYS)
            assert all(len(of[key]) == subject.n_vertices(side) for key in ARRAYS)
            assert of["covered"].all()
            counted = ~of["excluded"]
            assert (of["excluded"] == (of["ceiling"] == 0)).all()
            assert np.isnan(of["score"][of["excluded"]]).all()
            row = pick(scored, model=model, subject="01", hemisphere=side, roi_class="all")
            assert of["score"][counted].mean() == pytest.approx(row["score"], rel=1e-5)
            assert of["r"][counted].mean() == pytest.approx(row["pearson_r"], rel=1e-5)
            assert (of["p"] > 0).all()
            assert (of["p_max"] >= of["p"]).all()
            every.append(of)
        p = np.concatenate([of["p"] for of in every]).astype(float)
        q = np.concatenate([of["q"] for of in every])
        np.testing.assert_allclose(q, stats.false_discovery_control(p), rtol=1e-5)
    with pytest.raises(RoiridgeError, match=r"run make evaluate"):
        read_vertices(out, "nobody", "01")


def test_a_run_of_some_rois_covers_their_vertices_only(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    for path in (tmp_path / "fits").rglob("*.h5"):
        if path.name != "lh.OPA.h5":
            path.unlink()
    scores(simulated, tmp_path, subject="01")
    arrays, _ = read_artifact(tmp_path / "fits" / RIDGE / "subj01" / "lh.OPA.h5")
    found = read_vertices(tmp_path, RIDGE, "01")
    assert list(found.hemispheres) == ["lh"]
    of = found.hemispheres["lh"]
    np.testing.assert_array_equal(np.flatnonzero(of["covered"]), arrays["vertices"])
    for name in ("r", "p", "q", "p_max"):
        np.testing.assert_array_equal(np.isnan(of[name]), ~of["covered"])


def test_words_that_were_spelled_out_stay_as_they_are() -> None:
    """A job is given what the command made of the user's words."""
    words = ["compare", "ridge-7b", "ridge-f8", "--subject", "01"]
    spelled = _expand_arguments(words)
    assert spelled == ["compare", '["ridge-7b", "ridge-f8"]', "--subject", "01"]
    assert _expand_arguments(spelled) == spelled
