"""What was made of other fits or data is made again, or refused, whatever the files' times are."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from base import RoiridgeError
from cache import read_artifact
from challenge import find_subjects
from evaluate.commands.maps import maps
from evaluate.commands.scores import scores
from evaluate.commands.submission import submission
from evaluate.fits.inputs import gather
from evaluate.fits.up_to_date import ablation_inputs, changed_inputs
from evaluate.maps.shown_subjects import gather_subjects
from evaluate.maps.surface import load_mesh
from tests.builders.fits import DIGEST, rewrite, write_fits

RIDGE = f"ridge-{DIGEST}"
SAID = "nothing has changed since it was made"


def score(data: Path, out: Path, **options: object) -> pd.DataFrame:
    scores(data, out, "01", resamples=0, permutations=0, **options)  # type: ignore[arg-type]
    return pd.read_csv(out / "scores-01.csv")


def keep_times(path: Path, change: Callable[[], object]) -> None:
    """Change a file, and give it the times that it had."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_replaced_fit_of_the_same_record_and_time_is_scored_again(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    before = score(simulated, tmp_path)
    submission(simulated, tmp_path, "01")
    score(simulated, tmp_path)
    submission(simulated, tmp_path, "01")
    assert capsys.readouterr().out.count(SAID) == 2
    path = tmp_path / "fits" / RIDGE / "subj01" / "lh.V1v.h5"
    noise = np.random.default_rng(5)
    arrays, _ = read_artifact(path)
    names = ("test_predictions", "heldout_predictions")
    others = {n: noise.standard_normal(arrays[n].shape).astype(np.float32) for n in names}
    keep_times(path, lambda: rewrite(path, **others))
    after = score(simulated, tmp_path)
    submission(simulated, tmp_path, "01")
    assert SAID not in capsys.readouterr().out
    roi = (before["roi"] == "V1v") & (before["hemisphere"] == "lh") & (before["subject"] != "all")
    assert after[roi]["pearson_r"].item() < before[roi]["pearson_r"].item()


def test_a_replaced_figure_is_drawn_again(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    score(simulated, tmp_path)
    figure = tmp_path / "scores-01.png"
    content = figure.read_bytes()
    keep_times(figure, lambda: figure.write_bytes(b"of other scores"))
    capsys.readouterr()
    score(simulated, tmp_path)
    assert SAID not in capsys.readouterr().out
    assert figure.read_bytes() == content


def test_maps_are_of_the_fits_that_their_titles_name(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, subject="01")
    write_fits(tmp_path, simulated, spaces=("clip",), digest="c" * 16, seed=1, subject="01")
    score(simulated, tmp_path)
    # Now "ensemble" holds the scores of one fit.
    score(simulated, tmp_path, fits=["ridge-0"])
    with pytest.raises(RoiridgeError, match=r"ensemble.subj01\.h5: holds scores of other fits"):
        maps(simulated, tmp_path, "01")
    mesh = load_mesh("fsaverage5")
    one = gather(simulated, tmp_path, "01", ["ridge-0"])
    assert len(gather_subjects(one, RIDGE, mesh, "streams", spaces=False)) == 1


def test_maps_are_of_the_data_that_are_there(broken: Callable[[], Path], tmp_path: Path) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    score(data, tmp_path)
    mesh = load_mesh("fsaverage5")
    gather_subjects(gather(data, tmp_path, "01"), RIDGE, mesh, "streams", spaces=False)
    [file] = data.glob("subj01/test_split/noise_ceiling/lh*.npy")
    keep_times(file, lambda: np.save(file, np.load(file)[::-1]))
    with pytest.raises(RoiridgeError, match=r"subj01\.h5: holds scores of other fits or data"):
        gather_subjects(gather(data, tmp_path, "01"), RIDGE, mesh, "streams", spaces=False)
    # Scores of held-out pictures are told from those of test pictures.
    score(data, tmp_path, split="heldout")
    held_out = gather(data, tmp_path, "01", split="heldout")
    [values] = gather_subjects(held_out, RIDGE, mesh, "streams", spaces=False)
    assert values.split == "heldout"


def test_an_ablation_is_of_the_responses_pictures_and_masks_that_are_there(
    broken: Callable[[], Path],
) -> None:
    data = broken()
    key = ablation_inputs(find_subjects(data, "01")[0], "lh") | {"split": "test"}
    assert set(key) == {"responses", "test_responses", "masks", "pictures", "split"}

    def changed() -> list[str]:
        return changed_inputs(key, ablation_inputs(find_subjects(data, "01")[0], "lh"))

    assert changed() == []
    [responses] = data.glob("subj01/test_split/test_fmri/lh*.npy")
    keep_times(responses, lambda: np.save(responses, np.load(responses)[::-1]))
    assert changed() == ["test_responses"]
    mask = data / "subj01/roi_masks/lh.streams_challenge_space.npy"
    keep_times(mask, lambda: np.save(mask, np.load(mask)[::-1]))
    assert changed() == ["test_responses", "masks"]
    first, second, *_ = sorted(data.glob("subj01/training_split/training_images/*.png"))
    keep_times(first, lambda: shutil.copyfile(second, first))
    assert changed() == ["test_responses", "masks", "pictures"]
    # Those of earlier versions name the training responses alone.
    earlier = {name: key[name] for name in ("responses",)}
    assert changed_inputs(earlier, ablation_inputs(find_subjects(data, "01")[0], "lh")) == []
    assert changed_inputs({}, {"responses": "r"}) == ["responses"]
