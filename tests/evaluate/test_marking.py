"""`evaluate score`: against plain loops, against our own scores, and on what cannot be scored."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from base import RoiridgeError
from challenge import find_subjects
from evaluate.commands.score import score
from evaluate.commands.scores import scores
from evaluate.commands.submission import submission
from evaluate.metrics import algonauts2021
from evaluate.metrics._inputs import Pair
from evaluate.scoring.vertex_scores import Tally
from evaluate.submission.leaderboard import WHOLE, SubmissionScores
from evaluate.submission.other_benchmarks import DEFINITIONS, EXPLAINED, SOURCES
from tests.builders.fits import write_fits
from tests.builders.published_scores import OVERALL, PUBLISHED
from tests.builders.scores import run
from tests.builders.submissions import Members, npy, pack, unpack

SIDES = ("lh", "rh")


@pytest.fixture(scope="module")
def members(simulated: Path) -> Members:
    """Predictions with some of the signal, as another lab might send them."""
    rng = np.random.default_rng(0)
    found = {}
    for file in sorted(simulated.glob("subj*/test_split/test_fmri/*.npy")):
        y = np.load(file)
        p = (y + 0.7 * rng.standard_normal(y.shape)).astype(np.float32)
        p[:, 5] = 0.25
        found[f"{file.parts[-4]}/{file.name[:2]}_pred_test.npy"] = npy(p)
    return found


@pytest.fixture
def sent(members: Members, tmp_path: Path) -> Path:
    return pack(tmp_path / "sent.zip", members)


def by_loops(data: Path, sent: Path) -> tuple[dict[str, dict[str, list[float]]], list[float]]:
    """Score each vertex by scipy and np.load alone."""
    each: dict[str, dict[str, list[float]]] = {}
    with zipfile.ZipFile(sent) as opened:
        for folder in sorted(data.glob("subj*")):
            for side in SIDES:
                p = np.load(io.BytesIO(opened.read(f"{folder.name}/{side}_pred_test.npy")))
                test = folder / "test_split"
                y = np.load(test / f"test_fmri/{side}_test_fmri.npy").astype(float)
                ceiling = np.load(test / f"noise_ceiling/{side}_noise_ceiling.npy")
                found = []
                for v in range(y.shape[1]):
                    if ceiling[v] == 0:
                        found.append(np.nan)
                    elif np.ptp(p[:, v]) == 0:
                        found.append(0.0)
                    else:
                        r = stats.pearsonr(y[:, v], p[:, v].astype(float)).statistic
                        found.append(min(100.0, max(0.0, r) ** 2 / ceiling[v] * 100))
                each.setdefault(folder.name, {})[side] = found
    return each, [v for sides in each.values() for values in sides.values() for v in values]


def test_every_mean_is_that_of_plain_loops(simulated: Path, sent: Path, tmp_path: Path) -> None:
    into = tmp_path / "marks.json"
    done = run("score", sent, "--data", simulated, "--json", into, "--rois", "true")
    assert done.returncode == 0, done.stderr
    found = json.loads(into.read_text())
    each, pooled = by_loops(simulated, sent)
    assert set(found) == {"all", "subj01", "subj02", "about"}
    assert found["all"] == pytest.approx(np.nanmean(pooled), rel=1e-12)
    sides = [np.nanmean(each[s][h]) for s in each for h in SIDES]
    assert abs(found["all"] - np.mean(sides)) > 1e-6, "vertices are pooled, not means"
    for subject, values in each.items():
        for side in SIDES:
            assert found[subject][side] == pytest.approx(np.nanmean(values[side]), rel=1e-12)
            counts = found["about"]["counts"][subject][side]
            assert counts["n_vertices"] == len(values[side])
            assert counts["n_excluded"] == np.isnan(values[side]).sum()
            assert counts["n_clipped"] == (np.array(values[side]) == 100).sum()
            labels = np.load(simulated / subject / f"roi_masks/{side}.streams_challenge_space.npy")
            each[subject][f"{side} early"] = np.array(values[side])[labels == 1]
    early = np.concatenate([each[s][f"{h} early"] for s in ("subj01", "subj02") for h in SIDES])
    assert found["about"]["rois"]["streams/early"] == pytest.approx(np.nanmean(early), rel=1e-12)
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert lines["all"][2] == f"{found['all']:.2f}"
    assert lines["subj02"][:2] == [f"{found['subj02'][side]:.2f}" for side in SIDES]
    # An empty ROI is a dash, and null.
    assert lines["aTL-faces"] == ["–", "–", "–"]
    assert found["about"]["rois"]["floc-faces/aTL-faces"] is None
    assert "nan" not in done.stdout.lower().split()
    assert "NaN" not in into.read_text()
    assert "SIMULATED" in done.stdout
    flat = sum(each[s][h][5] == 0 for s in ("subj01", "subj02") for h in SIDES)
    assert f"{flat} of a constant prediction, r = 0" in done.stdout
    assert flat > 0


def test_our_own_submission_scores_what_scores_says(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated)
    write_fits(tmp_path, simulated, "banded_ridge", digest="b" * 16, seed=1)
    submission(simulated, tmp_path)
    scores(simulated, tmp_path)
    capsys.readouterr()
    score(tmp_path / "submission.zip", simulated, tmp_path / "marks.json")
    found = json.loads((tmp_path / "marks.json").read_text())
    rows = pd.read_csv(tmp_path / "scores.csv", dtype={"subject": str})
    rows = rows[(rows["model"] == "ensemble") & (rows["roi"] == "all")]
    rows = rows.set_index(["subject", "hemisphere", "roi_class"])["score"]
    assert found["all"] == pytest.approx(rows["all", "all", "all"], rel=1e-12)
    for subject in ("01", "02"):
        for side in SIDES:
            expected = rows[subject, side, "all"]
            assert found[f"subj{subject}"][side] == pytest.approx(expected, rel=1e-12)
    assert found["about"]["rois"]["streams/all"] == pytest.approx(rows["all", "all", "streams"])
    assert "WARNING" not in capsys.readouterr().out


def test_the_sixteen_published_means_give_the_published_overall() -> None:
    marks = SubmissionScores()
    for number, (left, right, n_left, n_right, no_left, no_right) in enumerate(PUBLISHED, 1):
        for side, mean, n, excluded in (
            ("lh", left, n_left, no_left),
            ("rh", right, n_right, no_right),
        ):
            tally = Tally(n, excluded, 0, 0, {"noise_normalised": mean * (n - excluded)})
            marks.tallies[f"subj0{number}", side] = {WHOLE: tally}
    assert marks.mean("noise_normalised") == pytest.approx(OVERALL, abs=1e-9)
    assert marks.mean("noise_normalised", "rh", folder="subj08") == pytest.approx(PUBLISHED[7][1])


def test_definitions_from_elsewhere(
    simulated: Path, sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "marks.json"
    score(sent, simulated, into, also=list(DEFINITIONS))
    text = capsys.readouterr().out
    old, ceiled = [], []
    for subject in find_subjects(simulated):
        r, ceiling = [], []
        for side in SIDES:
            p = np.load(io.BytesIO(unpack(sent)[f"subj{subject.name}/{side}_pred_test.npy"]))
            y = subject.responses(side, "test")
            nc = subject.noise_ceiling(side)
            assert nc is not None
            p = p + 1e-9 * np.arange(len(p))[:, None] * (np.ptp(p, axis=0) == 0)
            both = np.corrcoef(y.T.astype(float), p.T.astype(float))
            r += list(np.diag(both[: len(nc), len(nc) :]) * (np.arange(len(nc)) != 5))
            ceiling += list(nc)
        r, ceiling = np.array(r), np.array(ceiling)
        old += list(r[ceiling > 0] / ceiling[ceiling > 0] ** 0.5)
        ceiled.append(np.median(r[ceiling > 0.3]) ** 2 / np.median(ceiling[ceiling > 0.3]))
    found = json.loads(into.read_text())["about"]["also"]
    assert found["algonauts2021"] == pytest.approx(np.mean(old), rel=1e-6)
    assert found["brainscore_allen2022"] == pytest.approx(np.mean(ceiled), rel=1e-6)
    assert f"algonauts2021: {np.mean(old):.4f} (mean over vertices of r / sqrt" in text
    with pytest.raises(RoiridgeError, match=r"unknown definition r2: choose from algonauts2021, b"):
        score(sent, simulated, also=["r2"])


def test_r1_a_perfect_model_has_1_by_every_definition() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for n in (400, 901):
        # Vertices at and under 30 % are dropped by one; 0 and what counts as 0 by all.
        ceiling = np.concatenate([np.full(n, 0.64), rng.uniform(0, 0.3, 50), [0, 1e-14, 0.3]])
        parts.append((np.sqrt(ceiling), ceiling))
    for name, define in DEFINITIONS.items():
        assert define(parts) == pytest.approx(1, abs=1e-12), name
    # Subjects are averaged, each with its own medians.
    half = [(parts[0][0] / 2, parts[0][1]), parts[1]]
    assert DEFINITIONS["brainscore_allen2022"](half) == pytest.approx((0.25 + 1) / 2)


def test_r1_every_definition_names_its_source_with_a_date() -> None:
    assert set(DEFINITIONS) == set(SOURCES) == set(EXPLAINED)
    for name, source in SOURCES.items():
        assert re.fullmatch(r"[a-z.]+\.[a-z]+/\S+( [0-9a-f]{8})?, 20\d\d(-\d\d-\d\d)?", source), (
            name
        )


def flatten(file: Path, columns: slice) -> None:
    """Write the same response to all pictures at some vertices."""
    values = np.load(file)
    values[:, columns] = values[:1, columns]
    np.save(file, values)


def test_r4_ceilings_next_to_zero_are_told_and_in_no_mean(
    broken: Callable[[], Path], sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    found = {}
    for tiny in (0.0, 1e-14):
        for file in data.glob("subj*/test_split/noise_ceiling/*.npy"):
            ceiling = np.load(file)
            ceiling[20:30] = tiny
            np.save(file, ceiling)
        into = tmp_path / f"{tiny}.json"
        score(sent, data, into, also=list(DEFINITIONS))
        found[tiny] = json.loads(into.read_text()), capsys.readouterr().out
    (zero, text), (next_to_zero, told) = found.values()
    for held in (zero, next_to_zero):
        del held["about"]["provenance"]
    assert next_to_zero == zero
    assert next_to_zero["about"]["counts"]["subj01"]["lh"]["n_excluded"] >= 10
    assert next_to_zero["about"]["beside"]["unclipped"]["all"] < 1000
    assert "of ceiling 0 (below 1e-06) in no mean" in told
    assert told.splitlines()[:-1] == text.splitlines()[:-1]


def test_r11_constant_responses_are_counted_apart_and_told(
    broken: Callable[[], Path], sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    score(sent, data, tmp_path / "before.json")
    assert "measured responses" not in capsys.readouterr().out
    ceiling = np.load(data / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy")
    flatten(data / "subj01/test_split/test_fmri/lh_test_fmri.npy", slice(20, 30))
    n_flat = int((ceiling[20:30] >= 1e-6).sum())
    score(sent, data, tmp_path / "after.json")
    assert f"WARNING: at {n_flat} vertices that count, the measured" in capsys.readouterr().out
    before, after = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("before", "after"))
    counts = after["about"]["counts"]["subj01"]["lh"]
    assert counts["n_constant_measured"] == n_flat
    assert counts["n_constant"] == before["about"]["counts"]["subj01"]["lh"]["n_constant"]
    assert after["subj01"]["lh"] < before["subj01"]["lh"]
    assert after["about"]["counts"]["subj02"]["lh"]["n_constant_measured"] == 0


def test_r14_n2_test_pictures_responses_and_ceilings_are_enough(
    simulated: Path, sent: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    for folder in simulated.glob("subj*"):
        shutil.copytree(folder / "test_split", bare / folder.name / "test_split")
    shutil.copy(simulated / "simulation.json", bare)
    done = run("score", sent, "--data", bare, "--json", tmp_path / "bare.json")
    assert done.returncode == 0, done.stderr
    whole = run("score", sent, "--data", simulated, "--json", tmp_path / "whole.json")
    assert done.stdout.splitlines()[:-1] == whole.stdout.splitlines()[:-1]
    found, expected = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("bare", "whole"))
    assert found["about"].pop("rois") == {}
    assert expected["about"].pop("rois")["streams/all"] > 0
    for held in (found, expected):
        del held["about"]["provenance"]
    assert found == expected
    checked = run("check", sent, bare)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "valid (checked against 2 subjects of" in checked.stdout
    # ROIs are asked for by name, and what has no label maps is said.
    rois = run("score", sent, "--data", bare, "--rois", "true")
    assert rois.returncode == 0, rois.stderr
    assert rois.stdout.count(": no masks of prf-visualrois, ") == 2


def test_r14_n2_without_responses_the_ceilings_say_how_many_vertices_there_are(
    simulated: Path, sent: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    for folder in simulated.glob("subj*"):
        for kind in ("test_images", "noise_ceiling"):
            into = bare / folder.name / "test_split" / kind
            shutil.copytree(folder / "test_split" / kind, into)
    checked = run("check", sent, bare)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    narrow = {name: npy(np.load(io.BytesIO(raw))[:, 1:]) for name, raw in unpack(sent).items()}
    checked = run("check", pack(tmp_path / "narrow.zip", narrow), bare)
    assert checked.returncode == 1
    assert "has shape (12, 59), expected (12, 60)" in checked.stdout


def test_the_metric_and_the_definition_of_2021_agree() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((50, 20))
    p = y + rng.standard_normal(y.shape)
    ceiling = rng.uniform(0.1, 0.9, 20)
    ceiling[3] = 0
    r = np.array([stats.pearsonr(y[:, v], p[:, v]).statistic for v in range(20)])
    found = DEFINITIONS["algonauts2021"]([(r, ceiling)])
    each = algonauts2021.compute(Pair(y, p, ceiling))
    assert found == pytest.approx(np.nanmean(each), rel=1e-12)
    assert DEFINITIONS["brainscore_allen2022"]([(r, np.full(20, 0.3))]) is None


def test_rows_in_another_order_are_scored_with_a_warning(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = {
        f"{file.parts[-4]}/{file.name[:2]}_pred_test.npy": npy(np.load(file)[::-1].copy())
        for file in simulated.glob("subj*/test_split/test_fmri/*.npy")
    }
    score(pack(tmp_path / "turned.zip", turned), simulated)
    text = capsys.readouterr().out
    assert text.count("WARNING: subj") == 4
    assert "subj01/lh_pred_test.npy: its rows stand reversed beside the test responses" in text


def test_constant_predictions_score_zero(
    simulated: Path, members: Members, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = {name: npy(np.ones_like(np.load(io.BytesIO(raw)))) for name, raw in members.items()}
    score(pack(tmp_path / "flat.zip", flat), simulated, tmp_path / "marks.json")
    assert json.loads((tmp_path / "marks.json").read_text())["all"] == 0
    assert "WARNING: subj01/lh_pred_test.npy: all 12 rows are the same" in capsys.readouterr().out


def test_without_ceilings_nothing_is_normalised(
    broken: Callable[[], Path],
    sent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = broken()
    kept = tmp_path / "kept"
    for file in sorted(data.glob("subj*/test_split/noise_ceiling/*.npy")):
        into = kept / file.relative_to(data)
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, into)
    score(sent, data, tmp_path / "marks.json", also=["algonauts2021"])
    text = capsys.readouterr().out
    assert "pearson_r: mean over vertices, NOT noise-normalised: no noise ceilings of subj" in text
    assert "algonauts2021: –" in text
    held = json.loads((tmp_path / "marks.json").read_text())
    assert held["all"] is held["subj01"]["lh"] is None
    assert held["about"]["beside"]["pearson_r"]["all"] > 0.3
    # Those that were made elsewhere are taken from there.
    score(sent, data, tmp_path / "marks.json", ceilings=kept)
    assert f"noise ceilings of subjects 01, 02 are those in {kept}" in capsys.readouterr().out
    assert json.loads((tmp_path / "marks.json").read_text())["all"] > 10
    with pytest.raises(RoiridgeError, match="none: no such folder: make it with"):
        score(sent, data, ceilings=tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c * 100, "look like percent: divide by 100"),
        (lambda c: c[:-1], r"shape \(59,\), expected \(60,\)"),
        (lambda c: c - 0.9, "expected fractions in 0..1"),
        (lambda c: np.where(c > np.median(c), np.nan, c), "NaN or infinite"),
    ],
)
def test_ceilings_that_are_none(
    change: Callable[[np.ndarray], np.ndarray],
    told: str,
    broken: Callable[[], Path],
    sent: Path,
) -> None:
    data = broken()
    file = data / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(RoiridgeError, match=rf"lh_noise_ceiling\.npy: .*{told}"):
        score(sent, data)


def test_a_bad_zip_is_refused_and_nothing_is_written(
    simulated: Path, members: Members, tmp_path: Path
) -> None:
    bad = {**members, "subj01/lh_pred_test.npy": npy(np.zeros((60, 12)))}
    del bad["subj02/rh_pred_test.npy"]
    path = pack(tmp_path / "bad.zip", bad)
    done = run("score", path, "--data", simulated, "--json", tmp_path / "marks.json")
    assert done.returncode == 2
    assert done.stderr.count("\n- ") == 3
    assert "bad.zip: cannot be scored, 3 faults:" in done.stderr
    assert "it is transposed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "marks.json").exists()


def test_subjects_that_only_one_side_has(
    broken: Callable[[], Path],
    members: Members,
    sent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = broken()
    more = {**members, "subj07/lh_pred_test.npy": b"of a subject that is not in the data"}
    score(pack(tmp_path / "more.zip", more), data, tmp_path / "two.json")
    (data / "subj02/test_split/test_fmri/rh_test_fmri.npy").unlink()
    score(sent, data, tmp_path / "one.json")
    assert "subjects 02: no test responses in" in capsys.readouterr().out
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two"))
    assert one["subj01"] == two["subj01"]
    assert "subj02" not in one
    with pytest.raises(RoiridgeError, match=r"holds no test responses \(such as subj02/test_split"):
        score(sent, data, subject="02")


def test_one_test_picture_has_no_correlation(
    broken: Callable[[], Path], members: Members, tmp_path: Path
) -> None:
    data = broken()
    for subject in find_subjects(data):
        for picture in subject.pictures("test")[1:]:
            picture.unlink()
    for file in data.glob("subj*/test_split/test_fmri/*.npy"):
        np.save(file, np.load(file)[:1])
    one = {name: npy(np.load(io.BytesIO(raw))[:1]) for name, raw in members.items()}
    with pytest.raises(RoiridgeError, match="subject 01: 1 test picture has no correlation: score"):
        score(pack(tmp_path / "one.zip", one), data)
