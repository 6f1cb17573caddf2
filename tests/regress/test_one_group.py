"""What a training's only group of vertices holds: saved once, for all ROIs that it is of."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache import FeatureStore, read_artifact, write_artifact
from cache.commands.verify import artifacts
from challenge import find_subjects
from regress import load_design, load_fit
from regress.commands.fit import fit
from regress.data.design import find_spaces
from regress.fitting.shared_weights import load_shared

WIDE = {"epochs": 5, "lr": 0.01, "width": 64}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give many columns that know the truth: the trunk is most of a model."""
    out, rows = tmp_path_factory.mktemp("one"), {}
    spread = np.random.default_rng(0).standard_normal((12, 400))
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12] @ spread
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row)
    with FeatureStore(out / "features").writer("wide", {"made": "here"}, {"origin": "x"}) as store:
        store.add(list(rows), np.array(list(rows.values()), np.float32))
    return out


def _fit(data: Path, out: Path, **more: Any) -> Path:
    own: dict[str, Any] = {"model": "shallow", "spaces": ["wide"], "params": WIDE, "device": "cpu"}
    return fit(data, out, **{"subject": "01", "group_by": "brain"} | own | more)


def _files(folder: Path, pattern: str = "subj*/[!.]*.h5") -> list[Path]:
    return sorted(folder.glob(pattern))


def test_its_weights_lie_once_on_disk_and_older_files_are_read_as_they_are(
    simulated: Path, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(features, tmp_path / "out")
    folder = _fit(simulated, out)
    rois, [common] = _files(folder), _files(folder, "shared/*.h5")
    assert common.name.startswith("subj01.lh+rh-")
    weights = load_shared(rois[0], common.stem)
    assert {"tower.stem", "inside.tower.stem", "centre_"} <= set(weights)
    # A stem is 400 x 64 numbers of 4 bytes; no ROI's file has one.
    assert max(path.stat().st_size for path in rois) < 400 * 64 * 4
    assert set(artifacts(out)) == {*rois, common}
    store, predicted = FeatureStore(out / "features"), {}
    design = load_design(find_subjects(simulated)[0], store, find_spaces(store, ["wide"]))
    for path in rois:
        model, meta = load_fit(str(path))
        arrays, _ = read_artifact(path)
        predicted[path] = model.predict(design.test)
        np.testing.assert_allclose(predicted[path], arrays["test_predictions"], atol=1e-5)
        # As they were written before: all in each file.
        whole = arrays | load_shared(path, meta.pop("shared"))
        write_artifact(path, whole, meta)
    common.unlink()
    capsys.readouterr()
    assert _fit(simulated, out) == folder
    assert f"{len(rois)} models there already, 0 to fit" in capsys.readouterr().out
    for path in rois:
        np.testing.assert_array_equal(load_fit(path)[0].predict(design.test), predicted[path])
    # One gone, all are fitted again, in the new manner.
    rois[3].unlink()
    _fit(simulated, out)
    assert f"0 models there already, {len(rois)} to fit" in capsys.readouterr().out
    assert _files(folder, "shared/*.h5") == [common]


def test_a_training_begins_from_groups_that_were_trained_apart(
    simulated: Path, features: Path, tmp_path: Path
) -> None:
    begun = []
    for name in ("whole", "apart"):
        out = shutil.copytree(features, tmp_path / name)
        folder = _fit(simulated, out, model="mlp", group_by="class")
        assert not _files(folder, "shared/*.h5")
        if name == "apart":
            _files(folder, "subj01/lh.early.h5")[0].unlink()
            _fit(simulated, out, model="mlp", group_by="class")
            assert len(_files(folder, "shared/subj01.lh-*.h5")) == 1
        own = {"model": "mlp", "group_by": "class", "subject": "02", "start": folder / "subj01"}
        begun.append(_files(_fit(simulated, out, **own), "subj02/*.h5"))
    for one, other in zip(*begun, strict=True):
        first, second = (read_artifact(path, ["test_predictions"])[0] for path in (one, other))
        np.testing.assert_allclose(*first.values(), *second.values(), rtol=1e-3, atol=1e-4)
