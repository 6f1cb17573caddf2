"""Noise ceilings: estimators on simulations with a known truth, NSD's files, and the command."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import stats

from base import RoiridgeError, sha256_files
from challenge import find_subjects, noise_ceiling
from challenge.ceilings.ncsnr import read_ncsnr, read_repeats
from challenge.ceilings.reliability import count_repeats, nsd_ncsnr, split_half, variances
from evaluate.commands.ceilings import ceilings
from evaluate.commands.scores import scores
from tests.builders.fits import write_fits
from tests.builders.scores import run

ESTIMATORS = {
    "nsd": lambda trials: noise_ceiling(nsd_ncsnr(trials), count_repeats(trials)),
    "split_half": lambda trials: split_half(trials, n_splits=20),
}


def simulate_trials(
    ncsnr: float, n_images: int = 150, n_trials: int = 3, n_vertices: int = 400, seed: int = 0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = 3 * ncsnr * rng.standard_normal((n_images, 1, n_vertices))
    noise = 3 * rng.standard_normal((n_images, n_trials, n_vertices))
    return (7 + signal + noise).astype(np.float32)


def hide(trials: np.ndarray) -> np.ndarray:
    """Leave out trials, so that a third of the pictures was shown once, a third twice."""
    trials = trials.copy()
    trials[::3, 1:] = np.nan
    trials[1::3, 1] = np.nan
    return trials


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("ncsnr", [0.2, 0.5, 1.0, 2.0])
def test_an_estimator_finds_the_truth(estimator: str, uneven: bool, ncsnr: float) -> None:
    trials = simulate_trials(ncsnr, n_images=2000, n_vertices=200)
    trials = hide(trials) if uneven else trials
    k = (1 + 1 / 2 + 1 / 3) / 3 if uneven else 1 / 3
    found = ESTIMATORS[estimator](trials)
    assert found.shape == (200,)
    assert found.min() >= 0
    assert found.max() <= 1
    truth = ncsnr**2 / (ncsnr**2 + k)
    # What remains is chance, and that weak signals, cut off at 0, read a little higher.
    assert found.mean() == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("uneven", [False, True])
def test_the_variances_are_unbiased_where_the_ceiling_cannot_be(uneven: bool) -> None:
    trials = simulate_trials(0.2, n_vertices=4000)
    signal, noise = variances(hide(trials) if uneven else trials)
    for found, truth in ((signal, 9 * 0.2**2), (noise, 9.0)):
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean() - truth) < 4 * error
        assert error < 0.02
    assert signal.min() < 0, "cutting off at 0 is left to the ceiling"


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_without_signal_the_ceiling_is_next_to_zero(estimator: str) -> None:
    found = ESTIMATORS[estimator](simulate_trials(0.0))
    assert (found == 0).mean() > 0.3
    assert found.mean() < 0.08


def test_nsds_estimate_is_that_of_a_one_way_anova() -> None:
    trials = simulate_trials(0.5, n_images=40, n_vertices=30)
    for vertex, found in enumerate(ESTIMATORS["nsd"](trials)):
        f = stats.f_oneway(*trials[:, :, vertex].astype(float)).statistic
        assert found == pytest.approx(max(0, 1 - 1 / f), abs=1e-9)


def test_halves_of_many_trials_are_larger_than_one() -> None:
    trials = simulate_trials(0.3, n_trials=10)
    truth = 0.3**2 / (0.3**2 + 1 / 10)
    few = split_half(trials[:, :3], 20) - 0.3**2 / (0.3**2 + 1 / 3)
    many = split_half(trials, 20) - truth
    assert abs(many.mean()) < 0.02
    assert many.std() < few.std()
    np.testing.assert_array_equal(split_half(trials, 20), split_half(trials, 20))


@pytest.mark.parametrize("estimate", [nsd_ncsnr, split_half])
@pytest.mark.parametrize("n_trials", [2, 3, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_r8_an_average_repeated_is_refused_by_both_estimators(
    estimate: Callable[[np.ndarray], np.ndarray], n_trials: int, dtype: str
) -> None:
    average = simulate_trials(1.0, n_images=30, n_vertices=6).mean(axis=1, dtype=np.float64)
    copies = np.repeat(average[:, None], n_trials, axis=1)
    # Copies that were rounded on their way, each otherwise.
    rng = np.random.default_rng(0)
    rounded = copies * (1 + rng.uniform(-1, 1, copies.shape) * np.finfo(np.float32).eps)
    for trials in (copies, rounded, 1e-30 * rounded):
        with pytest.raises(RoiridgeError, match="at 6 vertices all trials of a picture are the sa"):
            estimate(trials.astype(dtype))
    for vertex in (0, 5):
        some = simulate_trials(1.0, n_images=30, n_vertices=6, n_trials=n_trials).astype(dtype)
        some[:, :, vertex] = copies[:, :, vertex]
        with pytest.raises(RoiridgeError, match=r"at 1 vertices .*expected single trials, not c"):
            estimate(some)


@pytest.mark.parametrize("estimate", [nsd_ncsnr, split_half])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6])
def test_r8_a_vertex_without_any_variance_has_no_ceiling(
    estimate: Callable[[np.ndarray], np.ndarray], value: float
) -> None:
    # Means of two and of three trials of 0.1 differ by a rounding.
    for whole in (simulate_trials(2.0, 60, 3, 5), hide(simulate_trials(2.0, 60, 3, 5))):
        trials = whole.astype(np.float64)
        trials[..., 2] = np.where(np.isnan(trials[..., 2]), np.nan, value)
        found = estimate(trials)
        assert found[2] == 0
        assert (found[[0, 1, 3, 4]] > 0.5).all()


def test_r8_trials_that_differ_little_are_trials() -> None:
    signal = simulate_trials(1.0, n_images=200, n_vertices=4).astype(np.float64)[:, :1]
    noise = np.random.default_rng(0).standard_normal((200, 3, 4))
    for scale in (1e-4, 1e-2):
        trials = signal + scale * noise
        np.testing.assert_allclose(nsd_ncsnr(trials), signal.std(axis=0)[0] / scale, rtol=0.2)
        assert split_half(trials, 5).min() > 0.999


def test_a5_splits_beyond_the_memory_are_refused_with_the_largest() -> None:
    trials = simulate_trials(1.0, n_images=20, n_vertices=5)
    with pytest.raises(RoiridgeError, match=r"--splits 1000000000000000: expected at most \d+; "):
        split_half(trials, 10**15)


def test_trials_that_tell_nothing() -> None:
    whole = simulate_trials(1.0, n_images=20, n_vertices=5)
    once, never, hole, copied = (whole.copy() for _ in range(4))
    never[3] = np.nan
    hole[2, 1, 4] = np.nan
    copied[:] = copied[:, :1]
    dead = whole.copy()
    dead[:, :, 2] = 0.5
    with pytest.raises(RoiridgeError, match=r"every picture was shown once.*not their average"):
        nsd_ncsnr(once[:, :1])
    with pytest.raises(RoiridgeError, match="picture 3, counting from 0, has no trial"):
        nsd_ncsnr(never)
    for estimate in (nsd_ncsnr, split_half):
        with pytest.raises(RoiridgeError, match=r"NaN or infinite at vertices 0 to 4"):
            estimate(hole)
        with pytest.raises(RoiridgeError, match=r"float32 of shape \(20, 5\), expected floats"):
            estimate(whole[:, 0])
        assert estimate(dead)[2] == 0
    with pytest.raises(RoiridgeError, match="at 5 vertices all trials of a picture are the same"):
        nsd_ncsnr(copied)
    with pytest.raises(RoiridgeError, match="0 splits"):
        split_half(whole, 0)


@pytest.fixture
def mask() -> np.ndarray:
    chosen = np.zeros(163842, bool)
    chosen[np.random.default_rng(0).choice(163842, 500, replace=False)] = True
    return chosen


def save_mgh(file: Path, values: np.ndarray) -> Path:
    image = nibabel.MGHImage(values.astype(np.float32).reshape(-1, 1, 1), np.eye(4))
    nibabel.save(image, file)
    return file


@pytest.mark.parametrize("name", ["lh.ncsnr.mgh", "lh.ncsnr.mgz", "lh.npy"])
@pytest.mark.parametrize("space", ["fsaverage", "challenge"])
def test_ncsnr_of_any_format_and_space(
    name: str, space: str, mask: np.ndarray, tmp_path: Path
) -> None:
    truth = np.random.default_rng(1).uniform(0, 1.5, 163842).astype(np.float32)
    truth[~mask] = np.nan  # what lies elsewhere does not matter
    values = truth if space == "fsaverage" else truth[mask]
    if name.endswith("npy"):
        np.save(tmp_path / name, values)
    else:
        save_mgh(tmp_path / name, values)
    found = read_ncsnr(tmp_path / name, mask)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, truth[mask])


def test_ncsnr_that_is_something_else(mask: np.ndarray, tmp_path: Path) -> None:
    good = np.random.default_rng(1).uniform(0, 1.5, 500)
    nan, negative = good.copy(), good.copy()
    nan[:3], negative[4] = np.nan, -0.5
    for values, told in (
        (good[1:], r"shape \(499,\), expected \(163842,\).*or \(500,\).*another surface"),
        (nan, "3 of 500 values at measured vertices are NaN"),
        (negative, r"values from -0.5 to .*expected ratios of standard deviations, at least 0"),
        (good * 60, r"values from .* to 8.*look like ceilings in percent .nc_3trials.: give ncsnr"),
    ):
        with pytest.raises(RoiridgeError, match=rf"lh\.mgh: {told}"):
            read_ncsnr(save_mgh(tmp_path / "lh.mgh", values), mask)
    with pytest.raises(RoiridgeError, match=r"none\.mgz: missing"):
        read_ncsnr(tmp_path / "none.mgz", mask)
    with pytest.raises(RoiridgeError, match=r"a\.nii: expected a .mgh, .mgz or .npy"):
        read_ncsnr(tmp_path / "a.nii", mask)
    (tmp_path / "cut.mgz").write_bytes(gzip.compress(b"no surface")[:-4])
    with pytest.raises(RoiridgeError, match=r"cut\.mgz: not read as a FreeSurfer surface"):
        read_ncsnr(tmp_path / "cut.mgz", mask)


def test_repeats_from_a_number_a_csv_and_nsds_table(tmp_path: Path) -> None:
    ids = np.array([5, 900, 72999])
    assert read_repeats(3, "01", ids).tolist() == [3, 3, 3]
    own = tmp_path / "own.csv"
    own.write_text("nsd_id,repeats\n900,2\n5,3\n72999,1\n7,3\n")
    assert read_repeats(str(own), "01", ids).tolist() == [3, 2, 1]
    with pytest.raises(RoiridgeError, match=r"own\.csv: 1 of 2 pictures .*first NSD id 8"):
        read_repeats(str(own), "01", np.array([5, 8]))
    # Subject 4 came to 30 sessions of 750 trials: trial 22501 was never run.
    nsd = tmp_path / "nsd_stim_info_merged.csv"
    nsd.write_text(
        "nsdId,subject4,subject4_rep0,subject4_rep1,subject4_rep2\n"
        "5,1,22498,22499,22500\n900,1,3,22501,29000\n72999,1,1,2,29999\n8,0,0,0,0\n"
    )
    assert read_repeats(str(nsd), "04", ids).tolist() == [3, 1, 2]
    with pytest.raises(RoiridgeError, match="never shown, the first NSD id 8"):
        read_repeats(str(nsd), "04", np.array([8]))
    with pytest.raises(RoiridgeError, match=r"has the columns nsdId.*subject3_rep0"):
        read_repeats(str(nsd), "03", ids)
    with pytest.raises(RoiridgeError, match=r"often: not read as a CSV.*a number such as 3"):
        read_repeats("often", "01", ids)


def test_ceilings_from_ncsnr_are_what_scores_reads(
    broken: Callable[[], Path],
    simulated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = broken()
    for file in data.glob("subj*/test_split/noise_ceiling/*.npy"):
        file.unlink()
    before = sha256_files(sorted(f for f in data.rglob("*") if f.is_file()))
    out = tmp_path / "out"
    write_fits(out, data)
    pattern = data / "subj{subject}/truth/{hemisphere}_ncsnr.npy"
    done = run("ceilings", "--data", data, "--out", out, "--ncsnr", pattern, "--repeats", 3)
    assert done.returncode == 0, done.stderr
    assert "subject 01 lh, test pictures: 60 ceilings, median " in done.stdout
    assert "k = 0.3333 (12 shown 3 x)" in done.stdout
    for subject in find_subjects(simulated):
        for hemisphere in ("lh", "rh"):
            name = f"test_split/noise_ceiling/{hemisphere}_noise_ceiling.npy"
            found = np.load(out / "ceilings" / subject.folder.name / name)
            np.testing.assert_array_equal(found, np.load(subject.folder / name))
    told = json.loads(
        (out / "ceilings/subj01/test_split/noise_ceiling/noise_ceiling.json").read_text()
    )
    assert told["made_by"] == "ncsnr"
    assert told["provenance"]["command"]
    scores(data, out)
    text = capsys.readouterr().out
    assert "noise ceilings of subjects 01, 02 are those in" in text
    assert "score: mean over vertices of r^2 / noise ceiling" in text
    assert "ceilings made by `evaluate ceilings`, subjects: 01, 02" in text
    assert json.loads((out / "scores.json").read_text())["made_ceilings"] == ["01", "02"]
    assert sha256_files(sorted(f for f in data.rglob("*") if f.is_file())) == before
    # Other ceilings are other scores: nothing kept is shown for them.
    first = (out / "scores.csv").read_bytes()
    ceilings(data, out, ncsnr=str(pattern), repeats=1)
    scores(data, out)
    assert "nothing recomputed" not in capsys.readouterr().out
    assert (out / "scores.csv").read_bytes() != first


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_ceilings_from_trials(estimator: str, simulated: Path, tmp_path: Path) -> None:
    for hemisphere, n in (("lh", 60), ("rh", 65)):
        np.save(tmp_path / f"{hemisphere}.npy", hide(simulate_trials(1.0, 12, 3, n)))
    pattern = str(tmp_path / "{hemisphere}.npy")
    ceilings(simulated, tmp_path, trials=pattern, estimator=estimator, subject="01")
    folder = tmp_path / "ceilings/subj01/test_split/noise_ceiling"
    found = np.load(folder / "lh_noise_ceiling.npy")
    expected = np.load(tmp_path / "lh.npy")
    expected = split_half(expected) if estimator == "split_half" else ESTIMATORS["nsd"](expected)
    np.testing.assert_array_equal(found, expected)
    assert json.loads((folder / "noise_ceiling.json").read_text())["lh"]["shown"] == {
        "1": 4, "2": 4, "3": 4,
    }  # fmt: skip
    with pytest.raises(RoiridgeError, match=r"shape \(12, 3, 60\), expected \(40, trials, 60\)"):
        ceilings(simulated, tmp_path, trials=pattern, split="train", subject="01")


def test_arguments_that_do_not_go_together(simulated: Path, tmp_path: Path) -> None:
    for arguments, told in (
        ({}, "either --ncsnr .* or --trials"),
        ({"ncsnr": "{hemisphere}.mgh"}, "--repeats is needed with --ncsnr"),
        ({"trials": "{hemisphere}.npy", "repeats": 3}, "--repeats is needed with --ncsnr"),
        ({"ncsnr": "lh.mgh", "repeats": 3}, r"lh\.mgh: expected \{hemisphere\} in it"),
        ({"trials": "{side}.npy"}, r"no braces but those of \{subject\} and"),
        ({"trials": "{hemisphere}.npy", "estimator": "median"}, "choose from nsd, split_half"),
        ({"trials": "{hemisphere}.npy", "split": "heldout"}, "choose from train, test"),
        ({"trials": "{hemisphere}.npy"}, r"lh\.npy: missing"),
    ):
        with pytest.raises(RoiridgeError, match=told):
            ceilings(simulated, tmp_path, **arguments)
    assert not (tmp_path / "ceilings").exists()
