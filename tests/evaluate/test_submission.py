"""submission.zip: what an independent reader finds in it, and every fault that `check` knows."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from base import RoiridgeError
from cache import read_artifact
from challenge import find_subjects
from evaluate import faults
from evaluate.commands.submission import submission
from evaluate.submission import inspection as checking
from tests.builders.fits import DIGEST, write_fits
from tests.builders.scores import run
from tests.builders.submissions import array, npy, pack, unpack


@pytest.fixture(scope="module")
def made(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make fits and, on the command line, the submission of them."""
    out = tmp_path_factory.mktemp("made")
    write_fits(out, simulated)
    write_fits(out, simulated, "banded_ridge", digest="b" * 16, seed=1)
    done = run("submission", "--data", simulated, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout
    return out


def test_an_independent_reader_finds_every_prediction(made: Path, simulated: Path) -> None:
    subjects = find_subjects(simulated)
    with zipfile.ZipFile(made / "submission.zip") as opened:
        expected = [f"subj{s.name}/{h}_pred_test.npy" for s in subjects for h in ("lh", "rh")]
        assert opened.namelist() == expected
        assert {entry.compress_type for entry in opened.infolist()} == {zipfile.ZIP_DEFLATED}
    members = unpack(made / "submission.zip")
    for subject in subjects:
        for hemisphere in ("lh", "rh"):
            found = array(members[f"subj{subject.name}/{hemisphere}_pred_test.npy"])
            truth = subject.responses(hemisphere, "test")
            assert found.dtype == np.float32
            assert found.shape == truth.shape
            assert np.isfinite(found).all()
            rows = [np.corrcoef(found[i], truth[i])[0, 1] for i in range(len(truth))]
            assert min(rows) > 0.3, "rows are in the order of the test pictures"


def test_a_vertex_of_one_model_is_that_models(made: Path, simulated: Path) -> None:
    submission(simulated, made, roi_classes=["streams"], fits=["ridge"])
    found = array(unpack(made / "submission.zip")["subj01/lh_pred_test.npy"])
    fit, _ = read_artifact(made / "fits" / f"ridge-{DIGEST}" / "subj01" / "lh.early.h5")
    np.testing.assert_array_equal(found[:, fit["vertices"]], fit["test_predictions"])


def test_equal_fits_give_equal_bytes_and_a_second_run_does_nothing(
    made: Path, simulated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made / "submission.zip"
    submission(simulated, made)
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    kept = json.loads((made / "submission.json").read_text())
    assert set(kept["runs"]) == {f"ridge-{DIGEST}", "banded_ridge-" + "b" * 16}
    capsys.readouterr()
    submission(simulated, made)
    assert "nothing recomputed" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == when
    path.write_bytes(first[:-1])
    submission(simulated, made)
    assert path.read_bytes() == first


def test_a_subject_without_fits(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    with pytest.raises(RoiridgeError, match=r"no fits of subject 02 \(lh, rh\).*SUBJECT=02"):
        submission(simulated, tmp_path)
    assert not (tmp_path / "submission.zip").exists()


def test_one_subject_alone_is_said_to_be(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated)
    submission(simulated, tmp_path)
    whole = (tmp_path / "submission.zip").read_bytes()
    capsys.readouterr()
    submission(simulated, tmp_path, "1")
    assert "holds subject 01 alone" in capsys.readouterr().out
    assert (tmp_path / "submission.zip").read_bytes() == whole
    found = faults(tmp_path / "submission-01.zip", find_subjects(simulated))
    assert found == ["subj02/: missing: add the folder, with lh_pred_test.npy and rh_pred_test.npy"]


def test_vertices_without_fits(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated)
    (tmp_path / "fits" / f"ridge-{DIGEST}" / "subj02" / "rh.residual.h5").unlink()
    with pytest.raises(RoiridgeError, match=r"subject 02 rh: no fit covers \d+ of .* vertices"):
        submission(simulated, tmp_path, allow_incomplete=True)
    assert not list(tmp_path.glob("*submission*"))


def test_an_unfinished_run_is_refused_unless_allowed(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated)
    write_fits(tmp_path, simulated, "ols_pca", digest="e" * 16)
    for roi in ("V1v", "ventral"):
        (tmp_path / "fits" / f"ridge-{DIGEST}" / "subj02" / f"rh.{roi}.h5").unlink()
    told = (
        rf"run ridge-{DIGEST} of subject 02 lacks 2 of \d+ models: run make fit SUBJECT=02 .*again"
    )
    with pytest.raises(
        RoiridgeError, match=rf"^{told}\n.*make submission FITS=ols_pca-e+ DATA=.*allow_incomplete"
    ):
        submission(simulated, tmp_path)
    assert not list(tmp_path.glob("*submission*"))
    done = run(
        "submission", "--data", simulated, "--out", tmp_path, "--allow_incomplete", "true"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"WARNING: run ridge-{DIGEST} of subject 02 lacks 2" in done.stdout
    kept = json.loads((tmp_path / "submission.json").read_text())
    assert [(one["run"], one["lacks"]) for one in kept["unfinished"]] == [(f"ridge-{DIGEST}", 2)]
    submission(simulated, tmp_path, fits=["ols_pca"])
    assert "lacks" not in capsys.readouterr().out


def test_subjects_with_other_runs_are_told(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated)
    write_fits(tmp_path, simulated, "ols_pca", digest="e" * 16, subject="01")
    for _ in range(2):  # the second time, nothing is recomputed
        submission(simulated, tmp_path)
        text = capsys.readouterr().out
        assert "fewer fits for some subjects:\n  subject 02 lacks ols_pca-eeeeeeeeeeeeeeee" in text
        assert f"make submission FITS=ridge-{DIGEST} DATA={simulated} OUT={tmp_path}\n" in text
    submission(simulated, tmp_path, fits=["ridge"])
    assert "lacks" not in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_or_masks_that_changed_are_noticed(
    broken: Callable[[], Path], tmp_path: Path, split: str
) -> None:
    data = broken()
    write_fits(tmp_path, data)
    submission(data, tmp_path)
    pictures = find_subjects(data)[0].pictures(split)
    first = pictures[0].read_bytes()
    pictures[0].write_bytes(pictures[1].read_bytes())
    with pytest.raises(RoiridgeError, match=rf"stale, the {split}.* pictures changed"):
        submission(data, tmp_path)
    pictures[0].write_bytes(first)
    submission(data, tmp_path)
    labels = data / "subj02/roi_masks/rh.streams_challenge_space.npy"
    values = np.load(labels)
    values[values == 1] = 2
    np.save(labels, values)
    with pytest.raises(RoiridgeError, match=r"subj02/rh\..*(delete it|run make fit .* again)"):
        submission(data, tmp_path)


def test_a_submission_too_large_is_not_left_behind(
    made: Path, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "fits", tmp_path / "fits")
    monkeypatch.setattr("evaluate.submission.inspection.LIMIT", 1000)
    with pytest.raises(RoiridgeError, match=r"did not pass its check:\n- is .* MB"):
        submission(simulated, tmp_path)
    assert not list(tmp_path.glob("*submission*"))


def test_check_on_the_command_line(made: Path, simulated: Path, tmp_path: Path) -> None:
    done = run("check", made / "submission.zip", "--data", simulated)
    assert done.returncode == 0, done.stdout
    assert "valid" in done.stdout
    members = unpack(made / "submission.zip")
    members["subj01/lh_pred_test.npy"] = npy(
        array(members["subj01/lh_pred_test.npy"]).astype(float)
    )
    del members["subj02/rh_pred_test.npy"]
    done = run("check", pack(tmp_path / "bad.zip", members), "--data", simulated)
    assert done.returncode == 1
    assert "2 faults" in done.stdout
    assert "subj01/lh_pred_test.npy: is float64, expected float32" in done.stdout
    assert "subj02/rh_pred_test.npy: missing" in done.stdout
    assert "Traceback" not in done.stderr


def _nan(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a[0, :3] = np.nan, np.inf, -np.inf
    return a


ARRAY_FAULTS: dict[str, tuple[Callable[[np.ndarray], bytes], str]] = {
    "transposed": (lambda a: npy(a.T.copy()), "transposed"),
    "float64": (lambda a: npy(a.astype(float)), "is float64, expected float32"),
    "big-endian": (lambda a: npy(a.astype(">f4")), "is >f4, expected float32"),
    "nan": (lambda a: npy(_nan(a)), "has 3 values that are NaN or infinite"),
    "training rows": (lambda a: npy(np.zeros((40, a.shape[1]), "f4")), "as many as training"),
    "short": (lambda a: npy(a[1:]), r"has shape (11, 60), expected (12, 60)"),
    "flat": (lambda a: npy(a.ravel()), "expected (12, 60)"),
    "pickled": (lambda a: npy(a.astype(object), pickled=True), "Python objects"),
    "no npy": (lambda _: b"PK and more", "cannot be read as a plain .npy"),
    "cut": (
        lambda a: npy(a)[:-5],
        "fewer bytes than its shape says (2875 bytes, expected 2880 bytes)",
    ),
    "more": (lambda a: npy(a) + b"x", "more bytes than its shape"),
}


@pytest.mark.parametrize("name", ARRAY_FAULTS)
def test_faults_of_an_array(name: str, made: Path, simulated: Path, tmp_path: Path) -> None:
    damage, expected = ARRAY_FAULTS[name]
    members = unpack(made / "submission.zip")
    member = "subj01/lh_pred_test.npy"
    members[member] = damage(array(members[member]))
    found = faults(pack(tmp_path / "bad.zip", members), find_subjects(simulated))
    assert len(found) == 1
    assert found[0].startswith(f"{member}: ")
    assert expected in found[0]


def test_a_fortran_array_is_read_as_what_it_is(made: Path, simulated: Path, tmp_path: Path) -> None:
    members = unpack(made / "submission.zip")
    member = "subj01/lh_pred_test.npy"
    members[member] = npy(np.asfortranarray(array(members[member])))
    assert not faults(pack(tmp_path / "f.zip", members), find_subjects(simulated))


def test_swapped_hemispheres_and_a_parent_folder(
    made: Path, simulated: Path, tmp_path: Path
) -> None:
    members = unpack(made / "submission.zip")
    left, right = (f"subj01/{h}_pred_test.npy" for h in ("lh", "rh"))
    members[left], members[right] = members[right], members[left]
    found = faults(pack(tmp_path / "swap.zip", members), find_subjects(simulated))
    assert [("look swapped" in fault) for fault in found] == [True, True]
    members = {f"mine/{name}": raw for name, raw in unpack(made / "submission.zip").items()}
    found = faults(pack(tmp_path / "parent.zip", members), find_subjects(simulated))
    assert len(found) == 1
    assert found[0].startswith("mine/: is an extra parent folder around subj01/lh_pred_test.npy")
    assert "and 2 more: zip the folders subjXX themselves (cd mine && zip -r" in found[0]


def test_strangers_in_the_zip(made: Path, simulated: Path, tmp_path: Path) -> None:
    members = unpack(made / "submission.zip")
    members |= {"../evil.npy": b"", "/etc/evil": b"", "notes.txt": b"hello"}
    path = pack(tmp_path / "bad.zip", members)
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("notes.txt", b"again")
    with zipfile.ZipFile(path, "a") as opened:
        link = zipfile.ZipInfo("subj01/link")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "lh_pred_test.npy")
    text = "\n".join(faults(path, find_subjects(simulated)))
    assert text.count("leads out of the zip") == 2
    assert "notes.txt: stands 2 times" in text
    assert "notes.txt: does not belong" in text
    assert "subj01/link: is a symbolic link" in text


def test_a_flipped_byte_a_text_file_and_nothing(
    made: Path, simulated: Path, tmp_path: Path
) -> None:
    raw = bytearray((made / "submission.zip").read_bytes())
    raw[300] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(bytes(raw))
    (tmp_path / "text.zip").write_text("no zip")
    subjects = find_subjects(simulated)
    assert (
        "subj01/lh_pred_test.npy: cannot be read" in faults(tmp_path / "flipped.zip", subjects)[0]
    )
    assert "cannot be read as a zip" in faults(tmp_path / "text.zip", subjects)[0]
    assert "no such file" in faults(tmp_path / "none.zip", subjects)[0]


def test_an_array_said_to_be_huge_is_not_read(made: Path, simulated: Path, tmp_path: Path) -> None:
    members = unpack(made / "submission.zip")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    )
    members["subj01/lh_pred_test.npy"] = header.getvalue()
    found = faults(pack(tmp_path / "huge.zip", members), find_subjects(simulated))
    assert "has shape (1000000000, 1000000)" in found[0]


def test_the_limit_is_the_challenges() -> None:
    assert checking.LIMIT == 300_000_000


def test_e6_a_test_picture_that_is_not_read_is_not_left_out_in_silence(
    broken: Callable[[], Path], made: Path, tmp_path: Path
) -> None:
    # What is done with it is the reader's: it is read, or all is refused; never seven of eight.
    data = broken()
    for file in data.glob("subj*/test_split/test_fmri/*.npy"):
        file.unlink()
    picture = sorted(data.glob("subj01/test_split/test_images/*.png"))[3]
    picture.rename(picture.with_suffix(".PNG"))
    short = {name: npy(array(raw)[1:]) for name, raw in unpack(made / "submission.zip").items()}
    path = pack(tmp_path / "short.zip", short)
    try:
        found = faults(path, find_subjects(data, "01"))
    except RoiridgeError as error:
        found = [str(error)]
        assert "test_images" in found[0]
    assert any("12" in fault for fault in found), found
    assert not any(fault.startswith("subj01/lh") and "(11, " in fault.split("expected")[-1]
                   for fault in found)  # fmt: skip


def test_e6_rows_are_counted_against_the_test_responses(
    broken: Callable[[], Path], made: Path
) -> None:
    data = broken()
    sorted(data.glob("subj01/test_split/test_images/*.png"))[-1].unlink()
    with pytest.raises(
        RoiridgeError, match=r"lh_test_fmri.npy: 12 rows, expected 11, one for each"
    ):
        faults(made / "submission.zip", find_subjects(data, "01"))
