"""`--subjects`, `--start` and `--images`: files, keys, pictures that must not leak, bad input."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from base import RoiridgeError
from cache import FeatureStore, read_artifact, read_meta
from challenge import HEMISPHERES, find_subjects
from regress import held_out
from regress.commands.fit import fit
from regress.data.picture_splits import divide, stopping
from tests.builders.commands import call

QUICK = {"epochs": 3, "lr": 0.01, "width": 4}
BOTH = ["01", "02"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give features that know the truth, twice."""
    out = tmp_path_factory.mktemp("together")
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row)
    for name in ("known", "other"):
        with FeatureStore(out / "features").writer(name, {"made": name}, {"origin": "x"}) as store:
            store.add(list(rows), np.array(list(rows.values()), np.float32))
    return out


@pytest.fixture(scope="module")
def joint(simulated: Path, features: Path) -> Path:
    """Fit both subjects together; read it only."""
    return _fit(simulated, features, subjects=BOTH)


@pytest.fixture
def out(features: Path, tmp_path: Path) -> Path:
    """Give a folder of its own, with what was fitted so far in `features`."""
    shutil.copytree(features, tmp_path / "out")
    return tmp_path / "out"


def _fit(data: Path, out: Path, **more: Any) -> Path:
    own: dict[str, Any] = {"model": "mlp", "spaces": ["known"], "params": QUICK, "device": "cpu"}
    return fit(data, out, **own | more)


def _files(folder: Path) -> dict[str, Path]:
    return {"/".join(p.parts[-2:]): p for p in sorted(folder.glob("subj*/[!.]*.h5"))}


def test_each_vertex_of_everyone_is_predicted_once(simulated: Path, joint: Path) -> None:
    files = _files(joint)
    expected = {}
    for subject in find_subjects(simulated):
        for hemisphere in HEMISPHERES:
            for roi in subject.regions(hemisphere):
                expected[f"subj{subject.name}/{hemisphere}.{roi.name}.h5"] = roi.vertices
    assert sorted(files) == sorted(expected)
    for name, path in files.items():
        arrays, meta = read_artifact(path)
        np.testing.assert_array_equal(arrays["vertices"], expected[name])
        assert arrays["test_predictions"].shape == (12, len(expected[name]))
        assert meta["settings"]["subjects"] == BOTH
        assert f"subj{meta['subject']}" == name.split("/")[0]
        # Readouts are of this ROI's vertices alone, the trunk is of one group.
        assert arrays["readout"].shape == (4, len(expected[name]))
        assert len(arrays["tower.stem"]) == 1
    shared = [
        read_artifact(files[f"subj{one}/lh.V1v.h5"], ["tower.stem"])[0]["tower.stem"]
        for one in BOTH
    ]
    np.testing.assert_array_equal(*shared)


def test_a_second_run_fits_nothing_and_what_is_gone_is_fitted_for_both(
    simulated: Path, joint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _fit(simulated, out, subjects=["2", "subj01", "01"])
    assert folder.name == joint.name
    assert capsys.readouterr().out.count(", 0 to fit") == 2
    gone = _files(folder)["subj01/rh.V1v.h5"]
    before, _ = read_artifact(gone)
    gone.unlink()
    _fit(simulated, out, subjects=BOTH)
    assert ", 2 to fit" in capsys.readouterr().out
    after, _ = read_artifact(gone)
    for name, values in before.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(after[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_responses_of_one_change_the_models_of_both(
    broken: Callable[[], Path], joint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    file = data / "subj02" / "training_split" / "training_fmri" / "lh_training_fmri.npy"
    responses = np.load(file)
    # On held-out pictures alone, so that nothing that is judged may change.
    pictures = find_subjects(data)[1].picture_digests("train")
    responses[held_out(pictures, 0.1, 0)] += 5
    np.save(file, responses)
    before = {name: read_artifact(path)[0] for name, path in _files(joint).items()}
    folder, changed = _fit(data, out, subjects=BOTH), []
    said = capsys.readouterr().out
    assert "subj01+02 lh: 0 models there already" in said
    assert "subj01+02 rh: " in said
    assert said.count(", 0 to fit") == 1
    for name, path in _files(folder).items():
        after, _ = read_artifact(path)
        # Two trainings may round differently where threads share a product; 5 more in a response
        # would change weights by far more than that.
        same = after["heldout_predictions"], before[name]["heldout_predictions"]
        np.testing.assert_allclose(*same, rtol=0, atol=1e-4, err_msg=name)
        trunks = ("inside.tower.stem", "tower.stem")
        inside, whole = (np.allclose(after[n], before[name][n], rtol=0, atol=1e-4) for n in trunks)
        assert inside
        if name.startswith("subj01/lh."):
            changed.append(not whole)
    assert any(changed)


def test_no_picture_that_judges_anyone_teaches_anyone(simulated: Path) -> None:
    subjects = find_subjects(simulated)
    names = [one.picture_digests("train") for one in subjects]
    assert set(names[0]) & set(names[1]), "the subjects share no picture: nothing is tested"
    tests = {names[0][0], names[1][1]} | {
        p for one in subjects for p in one.picture_digests("test")
    }
    for seed in range(20):
        divided = [divide(own, 0.3, seed, unseen=tests) for own in names]
        held, inside, whole, stops, goes = (set() for _ in range(5))
        for own, division in zip(names, divided, strict=True):
            plain = np.array(own)
            held |= set(plain[division.held].tolist())
            inside |= set(plain[division.inside].tolist())
            whole |= set(plain[division.whole].tolist())
            stopping_here = stopping(plain[division.inside].tolist(), 0.2, seed)
            stops |= set(plain[division.inside][stopping_here].tolist())
            goes |= set(plain[division.inside][~stopping_here].tolist())
        assert not held & inside
        assert not tests & (inside | whole)
        # Nor does a picture stop the training of one and teach another.
        assert not stops & goes


def test_pictures_that_stop_a_training_are_some_of_few() -> None:
    names = [f"{number:03d}" for number in range(300)]
    for seed in range(30):
        many = stopping(names, 0.1, seed)
        assert 12 <= many.sum() <= 50
        few = stopping(names[:4], 0.1, seed)
        assert few.sum() == 2
        most = stopping(names[:5], 0.99, seed)
        assert 2 <= most.sum() <= 3
        # Where two are enough, each stops every training or none.
        some = stopping(names[:150], 0.1, seed)
        if some.sum() > 2:
            np.testing.assert_array_equal(some, many[:150])
    repeated = stopping(names[:20] * 2, 0.1, 0)
    np.testing.assert_array_equal(repeated[:20], repeated[20:])
    with pytest.raises(RoiridgeError, match="3 distinct pictures to train on, expected at least 4"):
        stopping(names[:3] * 5, 0.1, 0)


def test_one_in_subjects_is_a_subject(
    simulated: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = _fit(simulated, out, subject="01", model="linear", params={"epochs": 2})
    again = _fit(simulated, out, subjects=["01"], model="linear", params={"epochs": 2})
    assert alone == again
    assert capsys.readouterr().out.count(", 0 to fit") == 2


def test_few_pictures_are_the_first_that_are_not_held_out(
    broken: Callable[[], Path], out: Path
) -> None:
    """What comes after them changes nothing, and all that is judged is judged on the same."""
    data = broken()
    params = {"alphas": [10.0]}
    whole = _fit(data, out, subject="01", model="ridge", params=params)
    few = _fit(data, out, subject="01", model="ridge", params=params, images=15)
    names = find_subjects(data)[0].picture_digests("train")
    division = divide(names, 0.1, 0, 15)
    assert division.inside.sum() == 15
    for hemisphere in HEMISPHERES:
        file = data / "subj01/training_split/training_fmri" / f"{hemisphere}_training_fmri.npy"
        responses = np.load(file)
        responses[~division.inside] = 9
        np.save(file, responses)
    before = {name: read_artifact(path)[0] for name, path in _files(few).items()}
    assert few != whole
    again = _fit(data, out, subject="01", model="ridge", params=params, images=15)
    assert again == few
    for name, path in _files(few).items():
        after = read_artifact(path)[0]
        np.testing.assert_array_equal(after["coef_"], before[name]["coef_"])
        np.testing.assert_array_equal(
            after["heldout_rows"], read_artifact(_files(whole)[name])[0]["heldout_rows"]
        )


@pytest.mark.slow
def test_begin_with_others_and_with_oneself(
    simulated: Path, joint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _fit(simulated, out, subject="01")
    frozen = QUICK | {"freeze": True}
    unseen = _fit(simulated, out, subject="02", start=first, params=frozen, images=20)
    own = _fit(simulated, out, subject="02", start=out / "fits" / joint.name, params=frozen)
    scratch = _fit(simulated, out, subject="02")
    assert len({unseen, own, scratch, first}) == 3, (
        "from scratch each is fitted alone in one folder"
    )
    assert scratch == first
    of = {"unseen": first, "own": joint}
    for name, folder in (("unseen", unseen), ("own", own)):
        for file, path in _files(folder).items():
            arrays, meta = read_artifact(path)
            begun = of[name] / ("subj01" if name == "unseen" else "subj02") / path.name
            if not begun.exists():
                continue
            given = read_artifact(begun)[0]
            for weight in ("tower.stem", "inside.tower.stem", "centre_", "inside.centre_"):
                np.testing.assert_array_equal(arrays[weight], given[weight], err_msg=file)
            assert meta["settings"]["start"]
            assert meta["settings"].get("images") == (20 if name == "unseen" else None)
    capsys.readouterr()
    with pytest.raises(
        RoiridgeError, match=r"holds subj01, subj02, each fitted alone; expected one"
    ):
        _fit(simulated, out, subject="02", start=first, params=frozen, images=20)
    named = Path(first.name[:8]) / "subj01"
    _fit(simulated, out, subject="02", start=named, params=frozen, images=20)
    assert capsys.readouterr().out.count(", 0 to fit") == 2

    done = call("evaluate", "scores", "--data", simulated, "--out", out)
    assert done.returncode == 0, done.stderr
    with (out / "scores.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert {row["subject"] for row in rows} >= {"01", "02"}


@pytest.mark.slow
def test_bad_input(
    simulated: Path, joint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(said: str, **more: Any) -> None:
        with pytest.raises(RoiridgeError, match=said):
            _fit(simulated, out, **more)

    start = out / "fits" / joint.name
    plain: dict[str, Any] = {"model": "ridge", "params": {}}
    linear: dict[str, Any] = {"model": "linear", "params": {"epochs": 1}}
    refused("--subjects: ridge is solved for each subject alone; expected", subjects=BOTH, **plain)
    refused("--start: ridge is solved for each subject alone", start=start, **plain)
    refused("--subject 01 and --subjects 01 02: expected one", subject="01", subjects=BOTH)
    refused("no subject '07'; it holds 01, 02", subjects=["01", "07"])
    vertex = QUICK | {"scope": "vertex"}
    refused("each vertex has a network of its own", subjects=BOTH, params=vertex)
    refused("--params.freeze true: expected --start FOLDER", params=QUICK | {"freeze": True})
    refused("--params: mlp has no parameter start", params=QUICK | {"start": "x"})
    refused(r"--images 90: expected from 2 to \d+, which is", images=90, subject="01")
    refused("2 distinct pictures to train on, expected at least 4", images=2, subject="01")

    refused(f"beside it there are: .*{joint.name}", start=out / "fits" / "mlp-x", subject="01")
    refused("is a fit of mlp; expected one of linear", start=start, subject="01", **linear)
    refused("fitted on --spaces known; expected a fit on --spaces other", start=start,
            spaces=["other"])  # fmt: skip
    refused("has --group_by roi; expected class", start=start, group_by="class")
    refused("has width 4, not 5; expected the same: --params.width 4", start=start,
            params=QUICK | {"width": 5})  # fmt: skip
    refused(r"held out for subj01; expected the same held-out pictures: --seed 0 --heldout 0.1",
            start=start, subject="01", seed=1)  # fmt: skip
    capsys.readouterr()
    both = _fit(simulated, out, subjects=BOTH, **linear)
    assert "subj01+02 lh linear: the subjects share no weights" in capsys.readouterr().out
    refused("linear holds weights of single vertices only", start=both, subject="02", **linear)
    begun = _fit(simulated, out, subject="01", start=start)
    refused("began from another fit itself", start=begun, subject="01")


@pytest.mark.slow
def test_a_group_that_others_lack(
    broken: Callable[[], Path], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    for space in ("fsaverage", "challenge"):
        file = data / "subj01" / "roi_masks" / f"lh.floc-bodies_{space}_space.npy"
        labels = np.load(file)
        labels[labels == 1] = 0
        np.save(file, labels)
    start = _fit(data, out, subject="01")
    capsys.readouterr()
    frozen = _fit(data, out, subject="02", start=start, params=QUICK | {"freeze": True})
    lacking = {one.removesuffix(".h5") for one in _names(data, 1) - _names(data, 0)}
    assert "lh.EBA" in lacking
    said = capsys.readouterr().out
    for hemisphere in HEMISPHERES:
        named = ", ".join(sorted(one for one in lacking if one.startswith(hemisphere)))
        assert not named or f"--start has no group {named}: trained from the beginning" in said
    plain = _fit(data, out, subject="02")
    for name, path in _files(frozen).items():
        if name.split("/")[1].removesuffix(".h5") in lacking:
            same = read_artifact(path)[0], read_artifact(_files(plain)[name])[0]
            np.testing.assert_allclose(same[0]["tower.stem"], same[1]["tower.stem"], atol=1e-5)
    # Together, a group that one lacks is the other's alone.
    both = _files(_fit(data, out, subjects=BOTH))
    assert "subj02/lh.EBA.h5" in both
    assert "subj01/lh.EBA.h5" not in both


def _names(data: Path, number: int) -> set[str]:
    subject = find_subjects(data)[number]
    return {f"{h}.{roi.name}.h5" for h in HEMISPHERES for roi in subject.regions(h)}


@pytest.mark.slow
def test_test_pictures_of_one_teach_nobody(
    broken: Callable[[], Path], features: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    first, second = (one.folder for one in find_subjects(data))
    shown = sorted((first / "test_split/test_images").glob("*.png"))[:3]
    replaced = sorted((second / "training_split/training_images").glob("*.png"))[:3]
    for source, target in zip(shown, replaced, strict=True):
        shutil.copy(source, target)
    folder = _fit(data, out, subjects=BOTH)
    assert "3 training pictures of subj02 are left out: they are test" in capsys.readouterr().out
    before = {name: read_artifact(path)[0] for name, path in _files(folder).items()}
    for hemisphere in HEMISPHERES:
        file = second / "training_split/training_fmri" / f"{hemisphere}_training_fmri.npy"
        responses = np.load(file)
        responses[:3] += 9
        np.save(file, responses)
    for name, path in _files(_fit(data, out, subjects=BOTH)).items():
        # A group that subj02 lacks is not fitted again: products of other widths round otherwise.
        np.testing.assert_allclose(
            read_artifact(path)[0]["test_predictions"],
            before[name]["test_predictions"],
            rtol=1e-4,
            atol=1e-5,
        )
    # A start that was fitted alone has seen them, and this is told.
    capsys.readouterr()
    clean = _fit(data, out, subject="01", start=folder)
    assert "was trained on" not in capsys.readouterr().out
    seen = _fit(data, out, subject="01", start=_fit(data, out, subject="02"))
    assert "--start was trained on 3 test pictures of subj01" in capsys.readouterr().out
    # It stands in the fits, for whoever scores them.
    for made, expected in ((clean, set()), (seen, {3})):
        metas = [read_meta(path) for path in _files(made).values()]
        assert {m["training"].get("start_tested") for m in metas} - {None} == expected


@pytest.mark.slow
def test_the_command_takes_lists(simulated: Path, joint: Path, out: Path) -> None:
    command = [sys.executable, "-m", "regress", "--data", str(simulated), "--out", str(out)]
    command += ["--subjects", "01", "02", "--model", "mlp", "--spaces", "known", "--device", "cpu"]
    command += [f"--params.{name}={value}" for name, value in QUICK.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(", 0 to fit") == 2
    assert f"subj01+02: 0 models fitted -> {out / 'fits' / joint.name}" in done.stdout
