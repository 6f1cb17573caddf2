"""A study from its file to its table: fitted, interrupted, taken up, scored, and reproduced."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from base import RoiridgeError
from base.command_line.parser import run
from cache import FeatureStore, read_artifact, read_meta
from challenge import find_subjects
from evaluate.commands.scores import scores
from evaluate.commands.study import study
from evaluate.fits.runs import RoiModel
from evaluate.fits.study_rows import row_names
from evaluate.fits.training_record import sum_training
from evaluate.scoring.score_report import load_scores
from evaluate.tables.study_scores import COLUMNS
from regress.commands.fit import fit as regress
from regress.commands.study import study as fit_study
from tests.builders.commands import call
from tests.builders.paths import ROOT

MINE = """
about: Three models and what cannot be fitted
paper: nothing was found elsewhere
rows:
  - {name: ridge, model: ridge, spaces: [clip]}
  - {name: linear, model: linear, spaces: [clip], params: {epochs: 4, lr: 3e-3}}
  - name: by class
    model: linear
    spaces: [clip, noise]
    group_by: class
    params: {epochs: 3, loss: mse+0.5*pearson}
    paper: "best"
  - name: others
    model: mlp
    spaces: [clip]
    group_by: class
    subjects: others
    params: {epochs: 2, width: 4}
  - name: few
    model: mlp
    spaces: [clip]
    group_by: class
    start: others
    images: 30
    params: {epochs: 2, width: 4, freeze: true}
  - {name: no features, model: ridge, spaces: [sam]}
  - name: seeded
    model: mlp
    spaces: [clip]
    params: {epochs: 3, width: 4, lr: 3e-3}
    seeds: 2
    against: linear
    paper: "0.3"
  - {name: random, model: ridge, spaces: [clip], untrained: true}
  - {name: spoiled, model: linear, spaces: [clip], params: {optimiser: sgd, lr: 1.0e+30}}
"""
NOT_RUN = {"no features", "random", "spoiled"}


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _study(data: Path, out: Path, *more: object) -> Sequence[object]:
    return (out / "mine.yaml", "--data", data, "--out", out, "--subject", "01",
            "--stand_in", "clip=known", "--device", "cpu", *more)  # fmt: skip


@pytest.fixture(scope="module")
def prepared(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give features that know the truth, others that know nothing, and a study."""
    out = tmp_path_factory.mktemp("a study")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row + 0.3 * rng.standard_normal(12))
    known = np.array(list(rows.values()), np.float32)
    noise = rng.standard_normal((len(rows), 5)).astype(np.float32)
    store = FeatureStore(out / "features")
    for name, values in (("known", known), ("noise", noise)):
        with store.writer(name, {"made": "here", "name": name}, {"origin": "test"}) as writer:
            writer.add(list(rows), values)
    (out / "mine.yaml").write_text(MINE)
    return out


@pytest.fixture(scope="module")
def fitted(simulated: Path, prepared: Path) -> tuple[Path, str]:
    """Interrupt the study in its second row, then let it go on: the folder, what was printed."""
    command = [sys.executable, "-m", "regress.study", *map(str, _study(simulated, prepared))]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env=_environment(),
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "MODEL=linear" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    said += process.stdout.read()
    assert process.wait() == 130, said
    assert "run it again to go on" in said
    kept = _rows(prepared)
    assert kept["ridge"]["fit"]
    assert "run the study again" in kept["few"]["why"]
    done = call("regress.study", *_study(simulated, prepared))
    assert done.returncode == 0, done.stderr
    return prepared, done.stdout


def _rows(out: Path) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in read_meta(out / "studies" / "mine.h5")["rows"]}


def _fits(out: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in sorted((out / "fits").glob("*/*/*.h5"))}


@pytest.mark.slow
def test_each_row_has_its_fit_or_says_why_not(fitted: tuple[Path, str]) -> None:
    out, said = fitted
    rows = _rows(out)
    assert {name for name, row in rows.items() if not row["fit"]} == NOT_RUN
    folders = [fit for row in rows.values() for fit in row["fits"]]
    assert sorted(folders) == sorted(path.name for path in (out / "fits").iterdir())
    assert "make features SPACES=sam DEVICE=cpu DATA=" in said
    assert "before anything was learned" in rows["spoiled"]["why"]
    assert "not run: the features 'known' are of trained weights, not random: make f" in said
    assert "WEIGHTS=known=random:0" in said
    assert "[7/9] seeded" in said
    assert "seed 2 of 2: random_state=1" in said
    assert "6 of 9 rows are fitted" in said
    assert "not run: no features; random; spoiled" in said
    # The other subject's fit is of the other subject; all rows of `clip` are of its stand-in.
    assert [p.name for p in (out / "fits" / str(rows["others"]["fit"])).iterdir()] == ["subj02"]
    assert rows["by class"]["spaces"] == ["known", "noise"]
    assert rows["by class"]["asked"] == ["clip", "noise"]


def test_what_is_printed_makes_the_same_fit(
    fitted: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = fitted
    before = _fits(out)
    # As a user calls it, also where these tests are run by make.
    alone = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "MFLAGS"))}
    for name, row in _rows(out).items():
        if name in NOT_RUN:
            continue
        make = ["make", "--dry-run", "-o", ".venv/installed", *shlex.split(str(row["command"]))[1:]]
        shown = subprocess.run(
            make, capture_output=True, text=True, cwd=ROOT, check=True, env=alone
        ).stdout
        python, *arguments = shlex.split(shown)
        assert (python, *arguments[:2]) == (".venv/bin/python", "-m", "regress")
        assert run(regress, "regress", [], arguments[2:]) == 0
        said = capsys.readouterr().out
        assert str(row["fit"]) in said
        assert " 0 to fit" in said
        assert _fits(out) == before, name


def test_a_second_run_fits_nothing(simulated: Path, fitted: tuple[Path, str]) -> None:
    out, _ = fitted
    before, rows = _fits(out), _rows(out)
    fit_study(str(out / "mine.yaml"), simulated, out, "01", ["clip=known"], "cpu")
    assert _fits(out) == before
    assert _rows(out) == rows


def test_seeds_differ_in_nothing_else(fitted: tuple[Path, str]) -> None:
    out, _ = fitted
    row = _rows(out)["seeded"]
    assert row["seeds"] == 2
    assert _rows(out)["ridge"]["seeds"] == 0
    settings, predicted = [], []
    for fit in row["fits"]:
        arrays, meta = read_artifact(next((out / "fits" / fit).glob("*/lh.V1v.h5")))
        predicted.append(arrays["test_predictions"])
        of = meta["settings"]
        seed = (of["defaults"] | of["parameters"]).pop("random_state")
        for part in ("defaults", "parameters"):
            of[part].pop("random_state", None)
        settings.append((seed, of))
    assert [seed for seed, _ in settings] == [0, 1]
    assert settings[0][1] == settings[1][1]
    names = row_names(out)
    assert [names[fit] for fit in row["fits"]] == ["seeded, seed 1 of 2", "seeded, seed 2 of 2"]
    assert names[_rows(out)["ridge"]["fit"]] == "ridge"
    assert not np.allclose(*predicted)


def test_what_training_took_is_in_every_fit(fitted: tuple[Path, str]) -> None:
    out, _ = fitted
    for name, row in _rows(out).items():
        for path in (out / "fits" / str(row["fit"])).glob("*/lh.V1*.h5") if row["fit"] else ():
            arrays, meta = read_artifact(path)
            told, n_vertices = meta["training"], len(arrays["vertices"])
            if name in ("ridge", "linear"):
                assert told["parameters"] == 13 * n_vertices
            if name != "ridge":
                assert told["epochs"] == arrays["epochs_"].max()
                assert all(seconds > 0 for seconds in told["seconds_per_epoch"].values())
            if name == "few":
                # A stem of 12 features, a block, and what reads 4 units; the mean, and its shift.
                trunk = 4 * 12 + 4 + 2 * (4 * 4 + 4)
                others = (read_artifact(p) for p in path.parent.glob(f"{meta['hemisphere']}.*.h5"))
                n_class = sum(
                    len(there["vertices"])
                    for there, one in others
                    if one["roi_class"] == meta["roi_class"]
                )
                assert told["parameters"] == trunk + n_class * (4 + 2)


@pytest.mark.slow
def test_the_table(simulated: Path, fitted: tuple[Path, str]) -> None:
    out, _ = fitted
    done = call("evaluate", "study", "mine", "--data", simulated, "--out", out, "--subject", "01",
                "--resamples", "300")  # fmt: skip
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(out / "mine.csv", dtype={"subject": str}).set_index("row", drop=False)
    assert tuple(frame.columns) == COLUMNS
    assert list(frame.index) == list(_rows(out))
    for name in ("ridge", "linear", "by class", "few"):
        row = frame.loc[name]
        for roi_class in ("streams", "all"):
            low, mean, high = (row[f"{roi_class}{end}"] for end in ("_low", "", "_high"))
            assert 0 <= low <= mean <= high <= 130, roi_class
        assert row["command"].startswith("make fit SUBJECT=01 MODEL=")
    other = frame.loc[["linear", "by class", "few"]]
    seeded = frame.loc["seeded"]
    assert seeded["against"] == "linear"
    assert seeded["difference"] == pytest.approx(seeded["all"] - frame.loc["linear", "all"])
    assert seeded["seeds_low"] <= seeded["all"] <= seeded["seeds_high"]
    # The other has one seed: what another would give is not known.
    assert seeded["covers"] == "pictures"
    assert seeded["survives"] == (seeded["difference_low"] * seeded["difference_high"] > 0)
    assert seeded["fit"].count("+") == 1
    assert (other["covers"] == "pictures").all()
    np.testing.assert_allclose(other["difference"], other["all"] - frame.loc["ridge", "all"])
    assert (other["difference_low"] <= other["difference"]).all()
    assert (other["difference_high"] >= other["difference"]).all()
    assert pd.isna(frame.loc["ridge", "against"])
    assert frame.loc["others", "why"] == "trained on 02, not on 01"
    assert frame.loc["by class", "epochs_high"] <= 3
    for text in (
        "known stands in for clip",
        "SIMULATED",
        "not run: no features: no features",
        "not scored: others: trained on 02",
        "found elsewhere",
        "theirs: the correlation that the study gives",
    ):
        assert text in done.stdout
    table = done.stdout.split("params: ")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert "nan" not in table


@pytest.mark.slow
def test_the_numbers_are_those_of_scores_csv(simulated: Path, fitted: tuple[Path, str]) -> None:
    out, _ = fitted
    fits = [str(_rows(out)[name]["fit"]) for name in ("ridge", "linear")]
    study("mine", simulated, out, "01", resamples=300, seed=2)
    scores(simulated, out, "01", fits=fits, resamples=300, permutations=0, seed=2)
    frame = pd.read_csv(out / "mine.csv").set_index("row")
    scored = load_scores(out / "scores-01.csv")
    scored = scored[(scored["roi"] == "all") & (scored["hemisphere"] == "all")]
    for model in ("ridge", "linear"):
        mine = scored[(scored["model"] == model) & (scored["subject"] == "01")]
        assert len(mine) > 5
        for row in mine.to_dict("records"):
            expected = [row["score"], row["score_low"], row["score_high"]]
            found = [frame.loc[model, f"{row['roi_class']}{end}"] for end in ("", "_low", "_high")]
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_what_is_amiss_is_said(simulated: Path, prepared: Path, fitted: tuple[Path, str]) -> None:
    expected = "--stand_in sam2=known: expected SPACE=OTHER with a space of the study"
    with pytest.raises(RoiridgeError, match=expected):
        fit_study(str(prepared / "mine.yaml"), simulated, prepared, "01", ["sam2=known"])
    with pytest.raises(
        RoiridgeError, match=r"no list of its rows .*.*compare-encoders STUDY=yours"
    ):
        study("yours", simulated, prepared)


def test_what_several_rois_share_is_counted_once() -> None:
    def model(
        roi: str, group: str, parameters: int, epochs: int | None, **seconds: float
    ) -> RoiModel:
        told = {"parameters": parameters, "epochs": epochs, "seconds_per_epoch": seconds}
        return RoiModel(Path(f"{roi}.h5"), {"training": told, "group": group})

    both = [model("V1v", "prf", 100, 7, a=0.5), model("V2v", "prf", 100, 7, a=0.5)]
    found = sum_training(
        [*both, model("EBA", "bodies", 30, 9, a=0.5), model("V1v", "prf", 8, 3, b=2.0)]
    )
    assert found == {"parameters": 138, "seconds_per_epoch": 2.5, "epochs": 7, "epochs_low": 3,
                     "epochs_high": 9}  # fmt: skip
    # What is solved has no epochs; what an earlier revision fitted does not tell.
    assert sum_training([model("V1v", "V1v", 5, None, a=1.0)]) == {"parameters": 5}
    assert sum_training([*both, RoiModel(Path("EBA.h5"), {"group": "bodies"})]) == {}
