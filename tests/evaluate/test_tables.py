"""Tables, figure and page: what they name, show and round, and what they warn of."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy import stats

from base import RoiridgeError, decimal, plural
from cache import write_fit_name
from challenge import find_subjects
from challenge.simulator import simulate
from evaluate.commands.compare import compare
from evaluate.commands.scores import scores
from evaluate.commands.submission import submission
from evaluate.fits.caveats import Caveats
from evaluate.fits.inputs import gather
from evaluate.fits.runs import find_runs
from evaluate.maps.surface import load_mesh
from evaluate.maps.values import gather_values, region_names
from evaluate.report.account import banners, response_unit
from evaluate.report.charts import bars
from evaluate.report.examples import examples
from evaluate.report.tables import format_triple, table_data
from evaluate.scoring.chance import chance_score
from evaluate.scoring.score_report import ScoreReport, load_scores, overall, read_report
from evaluate.scoring.vertex_files import read_vertices
from evaluate.tables.legend import legend
from evaluate.tables.scores_figure import _figure
from evaluate.tables.scores_table import render
from tests.builders.commands import call
from tests.builders.fits import DIGEST, write_fits

RIDGE = f"ridge-{DIGEST}"
OTHER = "ridge-" + "e" * 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One subject with 24 training and 12 test pictures; read it only."""
    folder = tmp_path_factory.mktemp("tables") / "data"
    simulate(folder, subjects=1, train_images=24, test_images=12, vertices=60, seed=0,
             photos="builtin", picture_size=64)  # fmt: skip
    return folder


@pytest.fixture
def copied(data: Path, tmp_path: Path) -> Path:
    """Give a copy that a test may change."""
    return shutil.copytree(data, tmp_path / "data")


@pytest.fixture(scope="module")
def scored(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two fits of the same model and spaces, one of them named, scored with intervals."""
    out = tmp_path_factory.mktemp("scored")
    write_fits(out, data)
    write_fits(out, data, digest="e" * 16, noise=0.5, seed=1)
    write_fit_name(out / "fits" / OTHER, "quiet")
    scores(data, out, resamples=200, permutations=0)
    return out


def quick(data: Path, out: Path) -> pd.DataFrame:
    scores(data, out, resamples=0, permutations=0)
    return load_scores(out / "scores.csv")


def described(frame: pd.DataFrame, fit: str) -> set[tuple[str, ...]]:
    of = frame[frame["fit"] == fit]
    return set(zip(*(of[name] for name in ("label", "model", "spaces")), strict=True))


def report_of(out: Path) -> ScoreReport:
    return read_report(out / "scores.csv", json.loads((out / "scores.json").read_text()))


def test_u5_labels_do_not_change_when_another_fit_comes(data: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, data)
    before = described(quick(data, tmp_path), RIDGE)
    assert before == {("ridge-012345", "ridge", "alexnet")}
    write_fits(tmp_path, data, digest="e" * 16, noise=0.5, seed=1)
    frame = quick(data, tmp_path)
    assert described(frame, RIDGE) == before
    assert described(frame, "ensemble") == {("ensemble", "ensemble", "alexnet")}
    assert set(frame["fit"]) == {RIDGE, OTHER, "ensemble"}
    # A label is what --fits takes.
    assert [run.name for run in find_runs(tmp_path, ["ridge-012345"])] == [RIDGE]
    # Only a name that is given changes it, and then the table knows though nothing was fitted.
    write_fit_name(tmp_path / "fits" / RIDGE, "baseline")
    assert described(quick(data, tmp_path), RIDGE) == {("baseline", "ridge", "alexnet")}
    results = pd.read_csv(tmp_path / "results.csv").set_index("fit")
    assert results["label"].to_dict() == {RIDGE: "baseline", OTHER: "ridge-eeeeee"}
    assert results["run"].to_dict() == {RIDGE: RIDGE, OTHER: OTHER}
    assert results["chance"].notna().all()


def test_u7_names_choose_fits(data: Path, scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [run.name for run in find_runs(scored, ["quiet"])] == [OTHER]
    assert [run.name for run in find_runs(scored, ["ridge"])] == [RIDGE, OTHER]
    with pytest.raises(RoiridgeError, match=rf"no fits named loud: there are .*quiet \({OTHER}\)"):
        find_runs(scored, ["loud"])
    compare(["ridge-0", "quiet", "ensemble"], data, scored, resamples=200)
    text = capsys.readouterr().out
    assert "quiet less ridge-012345" in text
    assert "ensemble less ridge-012345" in text
    frame = pd.read_csv(scored / "compare.csv")
    assert set(zip(frame["first_fit"], frame["second_fit"], strict=True)) == {
        (RIDGE, OTHER),
        (RIDGE, "ensemble"),
    }
    assert set(frame["second"]) == {"quiet", "ensemble"}


@pytest.mark.parametrize("n_pictures", [3, 12, 60, 159])
def test_u13_chance_is_the_mean_of_unrelated_predictions(n_pictures: int) -> None:
    ceiling = np.array([0.02, 0.1, 0.3, 0.7, 1.0])
    found = chance_score(n_pictures, ceiling)
    # By integration of scipy's distribution of r^2, half of whose r are negative.
    squared = stats.beta(0.5, (n_pictures - 2) / 2)
    for value, nc in zip(found, ceiling, strict=True):
        expected = 50 * (squared.expect(lambda s: s / nc, ub=nc) + squared.sf(nc))  # noqa: B023
        assert value == pytest.approx(expected, rel=1e-6)
    # By drawing, with r from scipy: responses of any shape, predictions that are drawn.
    rng = np.random.default_rng(0)
    measured = rng.exponential(size=(n_pictures, 1))
    predicted = rng.standard_normal((n_pictures, 40_000))
    r = stats.pearsonr(np.broadcast_to(measured, predicted.shape), predicted, axis=0).statistic
    for value, nc in zip(found, ceiling, strict=True):
        each = 100 * np.minimum(np.maximum(r, 0) ** 2 / nc, 1)
        assert value == pytest.approx(each.mean(), abs=5 * each.std() / np.sqrt(len(each)))


def test_u13_chance_at_the_ends() -> None:
    # Of two pictures r is 1 or -1; under next to no ceiling every second vertex has 100.
    np.testing.assert_allclose(chance_score(2, np.array([0.3, 1.0])), 50)
    np.testing.assert_allclose(chance_score(60, np.array([1e-14])), 50, rtol=1e-6)
    np.testing.assert_allclose(chance_score(60, np.array([1.0])), 50 / 59)
    assert np.isnan(chance_score(60, np.array([np.nan]))).all()


def test_u13_chance_stands_beside_every_score(data: Path, scored: Path, tmp_path: Path) -> None:
    report = report_of(scored)
    frame = report.frame
    [subject] = find_subjects(data)
    roi = next(roi for roi in subject.rois("lh") if roi.name == "ventral")
    ceiling = subject.noise_ceiling("lh")[roi.vertices]
    expected = chance_score(12, ceiling[ceiling > 0]).mean()
    rows = frame[(frame["roi"] == "ventral") & (frame["hemisphere"] == "lh")]
    np.testing.assert_allclose(rows["chance"], expected)
    lines = render(report).splitlines()
    assert next(line for line in lines if line.startswith("score")).endswith("  chance")
    whole = overall(frame)
    by_chance = whole[whole["roi_class"] == "all"]["chance"].iloc[0]
    everything = next(line for line in lines if line.startswith("all "))
    assert everything.split()[-1] == f"{by_chance:.2f}"
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("chance: ") for line in legend(report))
    table = table_data(report)
    assert table["chance"]["all all"]["all all"] == round(by_chance, 2)
    # In the marks of a zip, too.
    submission(data, scored)
    marks = tmp_path / "marks.json"
    done = call("evaluate", "score", scored / "submission.zip", "--data", data, "--json", marks)
    assert f"predictions unrelated to the pictures score {by_chance:.2f} on all" in done.stdout
    assert json.loads(marks.read_text())["about"]["chance"] == pytest.approx(by_chance)


def test_u13_without_ceilings_there_is_no_chance(copied: Path, tmp_path: Path) -> None:
    for file in copied.glob("subj*/*_split/noise_ceiling/*.npy"):
        file.unlink()
    write_fits(tmp_path, copied)
    frame = quick(copied, tmp_path)
    assert frame["chance"].isna().all()
    assert "chance" not in render(report_of(tmp_path))
    assert table_data(report_of(tmp_path))["chance"] == {}


def leak(data: Path, count: int) -> list[str]:
    """Put test pictures in the place of training pictures."""
    folder = data / "subj01"
    training = sorted((folder / "training_split" / "training_images").glob("*.png"))
    tests = sorted((folder / "test_split" / "test_images").glob("*.png"))
    for source, target in zip(tests[:count], training, strict=False):
        shutil.copy(source, target)
    return [tests[0].name, training[0].name]


def test_r3_test_pictures_of_training_are_told_where_scores_stand(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = leak(copied, 5)
    told = "WARNING: 5 of 12 test pictures of subject 01 are training pictures too"
    write_fits(tmp_path, copied)
    write_fits(tmp_path, copied, digest="e" * 16, noise=0.5, seed=1)
    quick(copied, tmp_path)
    assert told in capsys.readouterr().out
    report = report_of(tmp_path)
    assert report.caveats.leaked["01"]["pairs"][0] == pair
    assert any(line.startswith(told) for line in banners(report))
    [title] = [text.get_text() for text in _figure(report).texts]
    assert "WARNING: test pictures were training pictures" in title
    compare(["ridge-0", "ridge-e"], copied, tmp_path, resamples=200)
    assert told in capsys.readouterr().out
    for _ in range(2):  # the second time, nothing is recomputed
        submission(copied, tmp_path)
        assert told in capsys.readouterr().out
    done = call("evaluate", "score", tmp_path / "submission.zip", "--data", copied)
    assert told in done.stdout
    # Held-out pictures are scored as ever.
    assert replace(report.caveats, split="heldout").warning_lines() == []


def test_r3_a_start_that_knew_test_pictures_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, data, change=lambda _, meta: meta.update(training={"start_tested": 3}))
    quick(data, tmp_path)
    told = (
        "WARNING: ridge-012345 began from a fit that was trained on 3 test pictures of subject 01"
    )
    assert told in capsys.readouterr().out.replace("\n    ", " ")
    submission(data, tmp_path)
    assert told in capsys.readouterr().out


def test_r3_without_such_pictures_nothing_is_said(data: Path, scored: Path) -> None:
    assert report_of(scored).caveats.leaked == {}
    assert not [line for line in banners(report_of(scored)) if "training pictures" in line]


def rename_rois(data: Path) -> None:
    """Give the regions names and numbers that the challenge does not have."""
    masks = data / "subj01" / "roi_masks"
    for roi_class, names in (
        ("prf-visualrois", {0: "Unknown", 1: "A1", 2: "A2", 3: "A3", 4: "A4", 5: "A5", 6: "A6",
                            7: "A7"}),
        # In another order than the challenge's: 1 is not "early".
        ("streams", {0: "Unknown", 1: "upper", 2: "midventral", 3: "lower", 4: "early",
                     5: "ventral", 6: "lateral", 7: "parietal"}),
    ):  # fmt: skip
        np.save(masks / f"mapping_{roi_class}.npy", np.array(names, object))


def test_u4_every_roi_of_the_data_is_shown(copied: Path, tmp_path: Path) -> None:
    rename_rois(copied)
    write_fits(tmp_path, copied)
    frame = quick(copied, tmp_path)
    lines = render(report_of(tmp_path)).splitlines()
    for roi in ("A1", "A7", "upper", "lower"):
        row = overall(frame)
        row = row[row["roi"] == roi]
        [line] = [line for line in lines if line.startswith(f"  {roi} ")]
        assert line.split()[1] == f"{row['score'].item():.2f}"
    assert not [line for line in lines if line.startswith("  early")], "in its class, as ever"
    charts = {chart["title"]: chart["svg"] for chart in bars(report_of(tmp_path))}
    assert all(f">{roi}<" in charts["prf-visualrois"] for roi in ("A1", "A7"))
    subjects = find_subjects(copied)
    [run] = find_runs(tmp_path)
    shown = examples(subjects, run, {"01": read_vertices(tmp_path, run.name, "01")}, "test")
    assert {"A1", "A7", "upper", "early"} <= {example["roi"] for example in shown}


def test_u4_maps_name_the_regions_of_the_data(copied: Path, tmp_path: Path) -> None:
    rename_rois(copied)
    write_fits(tmp_path, copied)
    quick(copied, tmp_path)
    inputs = gather(copied, tmp_path)
    [subject] = inputs.subjects
    names = region_names([subject], "streams")
    assert set(names) >= {"early", "upper", "lower", "parietal"}
    mesh = load_mesh("fsaverage5")
    known = gather_values(inputs, subject, RIDGE, mesh.n_vertices)
    assert known.regions == names
    places = np.flatnonzero(np.load(
        subject.folder / "roi_masks" / "lh.all-vertices_fsaverage_space.npy"))  # fmt: skip
    for roi in subject.rois("lh"):
        if roi.roi_class == "streams" and roi.vertices.size:
            on_mesh = places[roi.vertices][places[roi.vertices] < mesh.n_vertices]
            assert {names[int(k) - 1] for k in known.labels["lh"][on_mesh]} <= {roi.name}


def test_u15_the_figure_can_be_printed(scored: Path) -> None:
    assert (scored / "scores.pdf").read_bytes().startswith(b"%PDF")
    picture = imread(scored / "scores.png")[..., :3]
    assert (picture[0, 0] == 1).all(), "on white"
    assert (picture == 1).all(axis=2).mean() > 0.7, "ink is spent on points, not on bars"
    frame = load_scores(scored / "scores.csv")
    figure = _figure(report_of(scored))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == [
        *("prf-visualrois", "floc-faces", "floc-words", "residual"),
        *("floc-bodies", "floc-places", "streams"),
    ]
    # Points and intervals are the table's.
    rows = overall(frame)
    rows = rows[(rows["fit"] == OTHER) & (rows["roi_class"] == "floc-places")]
    rows = rows[rows["roi"] != "all"]
    [points] = [line for line in panels["floc-places"].lines
                if line.get_label() == "quiet (ridge, alexnet)"]  # fmt: skip
    np.testing.assert_allclose(points.get_xdata(), rows["score"])
    spans = panels["floc-places"].collections[1].get_segments()
    np.testing.assert_allclose([span[:, 0] for span in spans], rows[["score_low", "score_high"]])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ridge-012345 (alexnet)", "quiet (ridge, alexnet)", "ensemble", "chance"]


def test_u15_many_fits_stay_readable(scored: Path) -> None:
    frame = overall(load_scores(scored / "scores.csv"))
    one = frame[frame["fit"] == OTHER]
    many = [one.assign(fit=f"fit-{i}", label=f"fit-{i}", score=one["score"] - i) for i in range(30)]
    rows = pd.concat([*many, frame[frame["fit"] == "ensemble"]])
    figure = _figure(replace(report_of(scored), frame=rows))
    names = [text.get_text().partition(" ")[0] for text in figure.legends[0].get_texts()]
    assert names == [*(f"fit-{i}" for i in range(7)), "ensemble", "chance"]
    assert "23 other fits with lower means in scores.csv" in figure.texts[0].get_text()
    assert figure.get_figheight() < 13


def test_n5_numbers_are_rounded_once() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1, 3000), np.arange(0.80045, 0.81, 0.001) + 1e-9])
    row = {"model": "m", "spaces": "a", "subject": "all", "hemisphere": "all", "split": "test",
           "roi_class": "streams", "n_vertices": 3, "n_excluded": 0, "r2": np.nan,
           "score": np.nan, "chance": np.nan, "fit": "m-0", "label": "m-0"}  # fmt: skip
    frame = pd.DataFrame([row | {"roi": f"{i}", "pearson_r": v} for i, v in enumerate(values)])
    cells = table_data(ScoreReport(frame, Caveats()))["cells"]["all all"]
    for i, value in enumerate(values):
        on_page = format_triple(cells[f"streams {i}"][0]["pearson_r"], 3)
        assert on_page == f"{value:.3f}" == decimal(value, 3)


def test_n11_one_fit_has_no_ensemble_beside_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, data)
    frame = quick(data, tmp_path)
    text = capsys.readouterr().out
    assert set(frame["fit"]) == {RIDGE}
    assert "ensemble" not in text
    assert [model.title for model in report_of(tmp_path).models] == ["ridge-012345 (alexnet)"]
    with pytest.raises(RoiridgeError, match=r"ensemble: ridge-.* is the only fit"):
        compare(["ridge", "ensemble"], data, tmp_path, resamples=200)
    # What reads the vertices of the ensemble finds those of the fit.
    one, same = (read_vertices(tmp_path, name, "01") for name in (RIDGE, "ensemble"))
    for side, arrays in one.hemispheres.items():
        np.testing.assert_array_equal(arrays["r"], same.hemispheres[side]["r"])
    submission(data, tmp_path)
    assert "1 subject from" in capsys.readouterr().out
    assert "on 12 test pictures of subject 01" in text


def test_n11_words_have_their_number() -> None:
    assert [plural(n, "subject") for n in (0, 1, 2)] == ["0 subjects", "1 subject", "2 subjects"]
    assert plural(1, "vertex") == "1 vertex"
    assert plural(2, "vertex") == "2 vertices"


def test_n11_the_unit_of_responses_is_said_where_it_is_known(data: Path, copied: Path) -> None:
    assert "standard deviations of a scan session" in response_unit(find_subjects(data))
    (copied / "simulation.json").unlink()
    assert response_unit(find_subjects(copied)) == "Responses are in the unit of the data's files."
