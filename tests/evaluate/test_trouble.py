"""Scores of data or fits that changed, lack something or differ: refused, or said by name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from base import RoiridgeError
from challenge import find_subjects
from evaluate.commands.scores import scores
from tests.builders.fits import DIGEST, regions, write_fits
from tests.builders.scores import read


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_test_responses_that_are_not_finite_are_refused(
    broken: Callable[[], Path], tmp_path: Path, value: float
) -> None:
    data = broken()
    write_fits(tmp_path, data)
    file = data / "subj02/test_split/test_fmri/rh_test_fmri.npy"
    values = np.load(file)
    values[3, 7] = value
    np.save(file, values)
    with pytest.raises(
        RoiridgeError, match=r"subj02.*rh_test_fmri.npy: 1 values .* row 3, col.* 7"
    ):
        scores(data, tmp_path)
    assert not list(tmp_path.glob("scores*"))


def test_held_out_responses_that_are_not_finite_are_refused(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    file = data / "subj01/training_split/training_fmri/lh_training_fmri.npy"
    values = np.load(file)
    values[4, 2] = np.nan
    np.save(file, values)
    write_fits(tmp_path, data, subject="01", change=lambda a, _: np.nan_to_num(
        a["heldout_predictions"], copy=False))  # fmt: skip
    with pytest.raises(RoiridgeError, match=r"lh_training_fmri.npy: 1 values .* row 4, column 2"):
        scores(data, tmp_path)


def test_unfinished_runs_are_marked(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    total = sum(len(regions(find_subjects(simulated)[0], h)) for h in ("lh", "rh"))
    for name in ("lh.V1v", "rh.residual", "rh.OPA"):
        (tmp_path / "fits" / f"ridge-{DIGEST}" / "subj01" / f"{name}.h5").unlink()
    scores(simulated, tmp_path)
    told = f"run ridge-{DIGEST} of subject 01 lacks 3 of {total} models: run "
    told += f"make fit SUBJECT=01 MODEL=ridge SPACES=alexnet DATA={simulated} OUT={tmp_path} again"
    assert told in capsys.readouterr().out
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert kept["unfinished"] == [
        {"run": f"ridge-{DIGEST}", "model": "ridge", "spaces": ["alexnet"], "subject": "01"}
        | {"lacks": 3, "of": total}
    ]


def test_runs_that_a_subject_lacks_are_named(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated)
    write_fits(tmp_path, simulated, "ols_pca", digest="e" * 16, subject="01")
    scores(simulated, tmp_path)
    text = capsys.readouterr().out
    assert "subject 02 lacks ols_pca-eeeeeeeeeeeeeeee" in text
    assert f"make evaluate FITS=ridge-{DIGEST} DATA={simulated} OUT={tmp_path}\n" in text
    for path in (tmp_path / "fits" / f"ridge-{DIGEST}").glob("subj01/*"):
        path.unlink()
    scores(simulated, tmp_path)
    assert (
        f"no run is of all subjects: make fit DATA={simulated} OUT={tmp_path}\n"
        in capsys.readouterr().out
    )


def test_twins_are_told_apart_below_the_table(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for letter, alphas in (("a", [1, 10]), ("b", [100])):
        write_fits(
            tmp_path, simulated, digest=letter * 16, subject="01",
            change=lambda _, meta, a=alphas: meta.update(settings={"parameters": {"alphas": a}}),
        )  # fmt: skip
    scores(simulated, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert "ridge-aaaaaa: alphas=[1, 10]" in lines
    assert "ridge-bbbbbb: alphas=[100]" in lines


def test_a_changed_label_is_noticed(broken: Callable[[], Path], tmp_path: Path) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    scores(data, tmp_path)
    labels = data / "subj01/roi_masks/lh.prf-visualrois_challenge_space.npy"
    values = np.load(labels)
    values[np.flatnonzero(values == 1)[0]] = 2
    np.save(labels, values)
    with pytest.raises(RoiridgeError, match=r"lh.V1.\.h5: is stale, .*masks changed"):
        scores(data, tmp_path)


def test_a_changed_name_is_noticed(broken: Callable[[], Path], tmp_path: Path) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    scores(data, tmp_path)
    names = data / "subj01/roi_masks/mapping_floc-places.npy"
    np.save(names, np.array({0: "Unknown", 1: "place", 2: "PPA", 3: "RSC"}, dtype=object))
    with pytest.raises(RoiridgeError, match=r"lh.OPA.h5: is of floc-places OPA, which has no vert"):
        scores(data, tmp_path)


def test_a_changed_training_picture_is_noticed(broken: Callable[[], Path], tmp_path: Path) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    scores(data, tmp_path)
    first, second = find_subjects(data)[0].pictures("train")[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(RoiridgeError, match=rf"training pictures changed .*ridge-{DIGEST}"):
        scores(data, tmp_path)


@pytest.mark.parametrize(
    ("missing", "split"), [("noise_ceiling", "test"), ("test_fmri", "heldout")]
)
def test_one_hemispheres_missing_file_is_named(
    broken: Callable[[], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    split: str,
) -> None:
    data = broken()
    file = f"subj01/test_split/{missing}/rh_{missing}.npy"
    (data / file).unlink()
    write_fits(tmp_path, data)
    scores(data, tmp_path)
    text = capsys.readouterr().out
    assert f"are missing:\n  {file}\n" in text
    assert set(read(tmp_path)["split"]) == {split}
    assert ("there are no noise ceilings" in text) == (missing == "test_fmri")
    if missing == "test_fmri":
        with pytest.raises(RoiridgeError, match=rf"{file} missing.*make evaluate SPLIT=heldout"):
            scores(data, tmp_path, split="test")


def test_columns_of_ceiling_0_alone_are_not_said_to_lack_ceilings(
    broken: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    for file in data.glob("subj*/test_split/noise_ceiling/*.npy"):
        np.save(file, np.zeros_like(np.load(file)))
    write_fits(tmp_path, data)
    scores(data, tmp_path)
    text = capsys.readouterr().out
    assert "NOT noise-normalised: a column has only vertices of ceiling 0" in text
    assert "there are no noise ceilings" not in text
