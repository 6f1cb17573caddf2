"""scores.csv, its table and picture: what they hold, and that a second run recomputes nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy import stats

from base import RoiridgeError
from cache import read_artifact
from challenge import find_subjects
from challenge.simulator import simulate
from evaluate.commands.scores import scores
from evaluate.fits.runs import find_runs
from evaluate.resampling import draw_orders, permute, picture_weights, resample
from evaluate.scoring.ensemble import combine, compute_strengths
from evaluate.scoring.hemisphere_rows import score_hemisphere
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.scoring.vertex_files import read_vertices
from evaluate.scoring.vertex_scores import score_vertices
from tests.builders.fits import DIGEST, load, regions, rewrite, write_fits
from tests.builders.scores import pick, read, run

COLUMNS = ("model,spaces,subject,hemisphere,roi_class,roi,split,n_vertices,n_excluded,"
           "n_constant_measured,pearson_r,r2,score,pearson_r_low,pearson_r_high,score_low,score_high,"
           "explained,explained_low,explained_high,chance,fit,label")  # fmt: skip


@pytest.fixture(scope="module")
def scored(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two runs of two subjects, scored on the command line."""
    out = tmp_path_factory.mktemp("scored")
    write_fits(out, simulated)
    spaces = ("alexnet", "efficientnet_lite0")
    write_fits(out, simulated, "banded_ridge", spaces, "b" * 16, noise=0.7, seed=1)
    done = run("scores", "--data", simulated, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_csv_has_the_columns_and_no_nan(scored: tuple[Path, str]) -> None:
    text = (scored[0] / "scores.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    assert "nan" not in text.lower()


def test_rows_are_the_rois_classes_hemispheres_and_overall(
    scored: tuple[Path, str], simulated: Path
) -> None:
    frame = read(scored[0])
    assert not frame.duplicated(list(frame.columns[:6])).any()
    assert set(frame["model"]) == {"ridge", "banded_ridge", "ensemble"}
    assert set(frame["split"]) == {"test"}
    for subject in find_subjects(simulated):
        for hemisphere in ("lh", "rh"):
            of = frame[(frame["subject"] == subject.name) & (frame["hemisphere"] == hemisphere)]
            for model in ("ridge", "ensemble"):
                rows = of[(of["model"] == model) & (of["roi"] != "all")]
                found = set(zip(rows["roi_class"], rows["roi"], strict=True))
                assert found == {(c, roi) for c, roi, _ in regions(subject, hemisphere)}
                whole = pick(of, model=model, roi_class="all", roi="all")
                assert whole["n_vertices"] == subject.n_vertices(hemisphere)
    everything = pick(frame, model="ensemble", subject="all", hemisphere="all", roi_class="all")
    assert everything["spaces"] == "alexnet+efficientnet_lite0"
    sides = frame[(frame["model"] == "ensemble") & (frame["roi_class"] == "all")]
    sides = sides[(sides["subject"] != "all") & (sides["hemisphere"] != "all")]
    counted = sides["n_vertices"] - sides["n_excluded"]
    assert everything["n_excluded"] == sides["n_excluded"].sum() > 0
    pooled = (sides["score"] * counted).sum() / counted.sum()
    assert everything["score"] == pytest.approx(pooled, rel=1e-12)


def test_a_roi_is_scored_as_by_hand(scored: tuple[Path, str], simulated: Path) -> None:
    subject = find_subjects(simulated, "01")[0]
    path = scored[0] / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.ventral.h5"
    arrays, _ = read_artifact(path)
    measured = subject.responses("lh", "test")[:, arrays["vertices"]].astype(float)
    ceiling = subject.noise_ceiling("lh", "test")
    assert ceiling is not None
    each = []
    for v, vertex in enumerate(arrays["vertices"]):
        if ceiling[vertex] > 0:
            predicted = arrays["test_predictions"][:, v].astype(float)
            r = stats.pearsonr(measured[:, v], predicted).statistic
            each.append(min(100, 100 * max(r, 0) ** 2 / ceiling[vertex]))
    row = pick(read(scored[0]), model="ridge", subject="01", hemisphere="lh", roi="ventral")
    assert row["score"] == pytest.approx(np.mean(each), rel=1e-10)


def test_a_run_as_a_whole_is_its_combined_prediction(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    of = load(simulated, tmp_path)
    [run_] = find_runs(tmp_path)
    found = score_hemisphere(of, [run_], "test", resampling=Resampling(200, 99))
    y, ceiling, pictures = of.measured("test"), of.ceiling("test"), of.pictures("test")
    combined = combine(of, "test", compute_strengths(of), of.indices(run_)).predictions
    count = np.bincount(np.concatenate(of.vertices))
    assert {1, 2} <= set(count)
    expected = score_vertices(y, combined, ceiling)
    [draws] = resample(y, combined, ceiling, picture_weights(pictures, 200))
    [permuted] = permute(y, [combined], draw_orders(pictures, 99))
    # One fit has no ensemble beside it in the table; its vertices are kept under that name too.
    assert {fit for fit, *_ in found.tallies} == {run_.name}
    tally = found.tallies[run_.name, "all", "all"]
    for name in (run_.name, "ensemble"):
        assert tally.sums == pytest.approx(expected.tally().sums, rel=1e-12)
        assert tally.draws is not None
        np.testing.assert_allclose(tally.draws.resampled, draws.resampled, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(tally.draws.left_out, draws.left_out, atol=1e-3)
        of_map = found.maps[name]
        np.testing.assert_allclose(of_map.arrays["r"], expected.r, rtol=1e-12)
        assert of_map.permuted is not None
        np.testing.assert_array_equal(of_map.permuted.as_great, permuted.as_great)


def test_the_terminal_says_what_must_be_known(scored: tuple[Path, str]) -> None:
    out, text = scored
    assert max(len(line) for line in text.splitlines() if str(out) not in line) <= 100
    assert "SIMULATED" in text
    assert "12 test pictures" in text
    for row in ("prf-visualrois", "streams", "all", "excluded", "clipped", "constant"):
        assert any(line.startswith(row) for line in text.splitlines())
    assert "nan" not in text.lower()
    overall = pick(read(out), model="ensemble", subject="all", hemisphere="all", roi_class="all")
    line = next(line for line in text.splitlines() if line.startswith("all "))
    assert line.split()[-2:] == [f"{overall['score']:.2f}", f"{overall['chance']:.2f}"]


def test_the_sidecar_and_the_picture(scored: tuple[Path, str]) -> None:
    kept = json.loads((scored[0] / "scores.json").read_text())
    assert kept["simulated"] == ["01", "02"]
    expected = {
        "ensemble": "per_vertex",
        "roi_classes": [],
        "permutations": 1000,
        "resamples": 1000,
        "seed": 0,
        "split": "auto",
    }
    assert kept["settings"] == expected
    assert kept["provenance"]["command"]
    counts = {(c["model"], c["subject"], c["hemisphere"]) for c in kept["counts"]}
    assert ("ensemble", "02", "rh") in counts
    assert all({"n_excluded", "n_clipped", "n_constant"} < set(c) for c in kept["counts"])
    picture = imread(scored[0] / "scores.png")
    assert picture.shape[1] >= 1200
    assert picture.std() > 0.05


def test_a_second_run_recomputes_nothing(scored: tuple[Path, str], simulated: Path) -> None:
    out, text = scored
    names = ("scores.csv", "scores.json", "scores.png")
    before = [(out / name).stat().st_mtime_ns for name in names]
    done = run("scores", "--data", simulated, "--out", out)
    assert "nothing recomputed" in done.stdout
    assert "scoring" not in done.stderr
    assert [(out / name).stat().st_mtime_ns for name in names] == before
    assert text.strip() in done.stdout


def test_changed_settings_fits_or_csv_are_computed_anew(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    scores(simulated, tmp_path)
    assert "nothing recomputed" not in capsys.readouterr().out
    first = (tmp_path / "scores.csv").read_bytes(), (tmp_path / "scores.png").read_bytes()
    (tmp_path / "scores.csv").write_text("tampered\n")
    scores(simulated, tmp_path)
    assert ((tmp_path / "scores.csv").read_bytes(), (tmp_path / "scores.png").read_bytes()) == first
    scores(simulated, tmp_path, roi_classes=["streams"])
    text = capsys.readouterr().out
    assert "nothing recomputed" not in text
    assert "filled from the others" in text
    write_fits(tmp_path, simulated, subject="01", change=lambda _, meta: meta.update(seed=1))
    scores(simulated, tmp_path, roi_classes=["streams"])
    assert "nothing recomputed" not in capsys.readouterr().out


def test_without_test_responses_held_out_pictures_are_scored(
    broken: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    for file in data.glob("subj*/test_split/test_fmri/*.npy"):
        file.unlink()
    for file in data.glob("subj*/training_split/noise_ceiling/*.npy"):
        file.unlink()
    write_fits(tmp_path, data)
    scores(data, tmp_path)
    text = capsys.readouterr().out
    assert "NOT noise-normalised" in text
    assert "20 held-out training pictures" in text
    frame = read(tmp_path)
    assert set(frame["split"]) == {"heldout"}
    assert frame["score"].isna().all()
    assert frame["pearson_r"].between(-1, 1).all()
    assert frame[["chance", "explained", "explained_low", "explained_high"]].isna().all(axis=None)
    with pytest.raises(RoiridgeError, match=r"no test responses in .*--split heldout"):
        scores(data, tmp_path, split="test")


def test_subjects_without_fits_and_runs_of_other_subjects_are_told(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    scores(simulated, tmp_path)
    assert "subject 02 has no fits, left out" in capsys.readouterr().out
    write_fits(tmp_path, simulated, "ols_pca", digest="e" * 16, subject="02")
    scores(simulated, tmp_path)
    assert "columns cover different subjects" in capsys.readouterr().out


def test_untrained_spaces_and_constant_predictions_are_told(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def flat(arrays: dict[str, Any], meta: dict[str, Any]) -> None:
        meta["untrained"] = ["clip"]
        if meta["roi"] == "hV4":
            arrays["test_predictions"][:] = 1.5

    write_fits(tmp_path, simulated, spaces=("clip",), subject="01", change=flat)
    scores(simulated, tmp_path)
    assert "UNTRAINED networks, random weights: clip" in capsys.readouterr().out
    row = pick(read(tmp_path), model="ridge", subject="01", hemisphere="lh", roi="hV4")
    assert row["score"] == row["pearson_r"] == 0


def test_fits_of_a_single_roi(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    for path in (tmp_path / "fits").rglob("*.h5"):
        if path.name != "lh.OPA.h5":
            path.unlink()
    scores(simulated, tmp_path)
    frame = read(tmp_path)
    assert set(frame["roi"]) == {"OPA", "all"}
    assert set(frame["n_vertices"]) == {frame["n_vertices"][0]}
    assert "floc-places" in capsys.readouterr().out


def test_a_changed_fit_is_refused_on_the_command_line(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    path = tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.V1v.h5"
    rewrite(path, test_pictures=read_artifact(path)[0]["test_pictures"][::-1])
    done = run("scores", "--data", simulated, "--out", tmp_path)
    assert done.returncode == 2
    assert "lh.V1v.h5: is stale" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_one_subjects_scores_do_not_replace_those_of_all(
    scored: tuple[Path, str], simulated: Path
) -> None:
    out, _ = scored
    before = [(out / f"scores.{suffix}").read_bytes() for suffix in ("csv", "json", "png")]
    done = run("scores", "--data", simulated, "--out", out, "--subject", "02")
    assert done.returncode == 0, done.stderr
    assert f"-> {out / 'scores-02.csv'}" in done.stdout
    assert [(out / f"scores.{suffix}").read_bytes() for suffix in ("csv", "json", "png")] == before
    alone = pd.read_csv(out / "scores-02.csv", dtype={"subject": str})
    assert set(alone["subject"]) == {"02", "all"}


def test_means_have_intervals_in_the_csv_and_the_table(scored: tuple[Path, str]) -> None:
    out, text = scored
    frame = read(out)
    counted = frame[frame["score"].notna()]
    assert (counted["score_low"] <= counted["score"]).all()
    assert (counted["score"] <= counted["score_high"]).all()
    assert (counted["pearson_r_low"] < counted["pearson_r"]).all()
    assert (counted["explained_low"] <= counted["explained"].clip(lower=0)).all()
    overall = pick(frame, model="ensemble", subject="all", hemisphere="all", roi_class="all")
    assert f"[{overall['score_low']:.1f}, {overall['score_high']:.1f}]" in text
    assert f"{overall['explained']:.2f}" in text
    assert "1000 draws of pictures, seed 0" in text
    assert "with 12 they are rough" in text
    # These predictions are the responses with noise added: no honest model could be so good.
    assert (overall["explained_low"] > 100) == ("more than 100 % explained" in text)
    assert overall["explained_low"] > 100
    # More pictures, of two subjects, say more than those of one.
    alone = pick(frame, model="ensemble", subject="01", hemisphere="all", roi_class="all")
    assert overall["score_high"] - overall["score_low"] < alone["score_high"] - alone["score_low"]


def test_intervals_only_where_asked_for_and_possible(
    broken: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    scores(data, tmp_path, subject="01", resamples=0, permutations=0)
    assert "no intervals: they were not asked for" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "scores-01.csv")["score_low"].isna().all()
    arrays = read_vertices(tmp_path, f"ridge-{DIGEST}", "01").hemispheres["lh"]
    assert np.isnan(arrays["p"]).all()
    for name, few in (("resamples", 199), ("permutations", -1)):
        with pytest.raises(RoiridgeError, match=f"--{name} {few}: expected at least"):
            scores(data, tmp_path, **{name: few})
    scores(data, tmp_path, subject="01", resamples=200, permutations=99)
    capsys.readouterr()
    # Vertices that are gone are made again, though the table is there.
    (tmp_path / "vertices" / "ensemble" / "subj01.h5").unlink()
    scores(data, tmp_path, subject="01", resamples=200, permutations=99)
    assert "nothing recomputed" not in capsys.readouterr().out
    assert read_vertices(tmp_path, "ensemble", "01").meta["permutations"] == 99


def test_too_few_pictures_have_no_interval_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    simulate(data, subjects=1, train_images=30, test_images=5, vertices=40, seed=0,
             photos="builtin", picture_size=64)  # fmt: skip
    write_fits(tmp_path, data)
    scores(data, tmp_path)
    text = capsys.readouterr().out
    assert "no intervals: fewer than 10 different pictures say little" in text
    frame = read(tmp_path)
    assert frame["score"].notna().any()
    assert frame[["score_low", "pearson_r_low", "explained"]].isna().all(axis=None)


def test_r4_r11_scores_without_ceilings_that_none_measured_and_with_constant_responses(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    write_fits(tmp_path / "zero", data, noise=2)
    shutil.copytree(tmp_path / "zero/fits", tmp_path / "tiny/fits")
    sides = sorted(data.glob("subj*/test_split/noise_ceiling/*.npy"))
    ceilings = [np.load(file) for file in sides]
    # Measured responses that are the same to every picture, at vertices that count and do not.
    responses = data / "subj01/test_split/test_fmri/lh_test_fmri.npy"
    values = np.load(responses)
    values[:, 15:25] = 0.5
    np.save(responses, values)
    told = {}
    for name, tiny in (("zero", 0.0), ("tiny", 1e-14)):
        for file, ceiling in zip(sides, ceilings, strict=True):
            ceiling[20:30] = tiny
            np.save(file, ceiling)
        done = run("scores", "--data", data, "--out", tmp_path / name, "--resamples", 200,
                   "--permutations", 0)  # fmt: skip
        assert done.returncode == 0, done.stderr
        told[name] = done.stdout.replace(str(tmp_path / name), "")
    assert told["tiny"] == told["zero"]
    both = [(tmp_path / name / "scores.csv").read_text() for name in told]
    assert both[0] == both[1]
    frame = read(tmp_path / "tiny")
    whole = pick(frame, model="ridge", subject="01", hemisphere="lh", roi_class="all")
    assert whole["n_excluded"] >= 10
    assert whole["explained"] < 1000
    n_flat = int((ceilings[0][15:20] > 0).sum())
    assert whole["n_constant_measured"] == n_flat
    counts = json.loads((tmp_path / "tiny/scores.json").read_text())["counts"]
    assert sum(c["n_constant_measured"] for c in counts if c["subject"] == "02") == 0
    assert max(c["n_constant_measured"] for c in counts) == n_flat
    assert f"WARNING: at {n_flat} vertices that count, the measured responses" in told["tiny"]
    assert "excluded: ceiling 0 (below 1e-06), in no mean" in told["tiny"]
