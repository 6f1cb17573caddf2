"""Groupings: who chooses or trains together, for every model, and what is saved of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import FeatureStore, read_artifact
from challenge import HEMISPHERES, Subject, find_subjects
from regress import load_design, load_fit
from regress.data.design import find_spaces
from regress.data.picture_splits import divide
from regress.data.vertex_columns import ACROSS_HEMISPHERES, GROUPINGS, make_layout, roi_key, spans
from regress.fitting.fit import _SpanFit
from regress.fitting.settings import Job, Settings
from regress.fitting.subject_fit import SubjectFit
from regress.fitting.up_to_date import ModelFiles
from regress.models.linear import Linear
from tests.builders.commands import call


def _regions(subject: Subject, span: tuple[str, ...]) -> list[Any]:
    return [roi for hemisphere in span for roi in subject.regions(hemisphere)]


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give features that know the truth."""
    out = tmp_path_factory.mktemp("groups")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row + 0.3 * rng.standard_normal(12))
    with FeatureStore(out / "features").writer("known", {"made": "here"}, {"origin": "x"}) as store:
        store.add(list(rows), np.array(list(rows.values()), np.float32))
    return out


@pytest.fixture
def out(features: Path, tmp_path: Path) -> Path:
    shutil.copytree(features / "features", tmp_path / "out" / "features")
    return tmp_path / "out"


def _regress(data: Path, out: Path, *more: str) -> str:
    asked = ("--subject", "01", "--device", "cpu", "--spaces", "known", *more)
    done = call("regress", "--data", data, "--out", out, *asked)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def _fits(out: Path) -> list[Path]:
    return sorted(out.glob("fits/*/*/[!.]*.h5"))


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_each_vertex_is_predicted_once_in_each_group_that_has_it(
    simulated: Path, group_by: str
) -> None:
    subject = find_subjects(simulated)[0]
    for span in spans(group_by):
        rois = _regions(subject, span)
        layout = make_layout(rois, group_by)
        assert layout.groups is not None
        columns = list(zip(layout.groups, layout.hemispheres, layout.vertices, strict=True))
        assert len(set(columns)) == len(columns), "a group predicts a vertex twice"
        expected = {
            (GROUPINGS[group_by](roi), roi.hemisphere, vertex)
            for roi in rois
            for vertex in roi.vertices.tolist()
        }
        assert {(layout.names[g], str(h), int(v)) for g, h, v in columns} == expected
        for roi in rois:
            own = layout.columns[roi_key(roi)]
            np.testing.assert_array_equal(layout.vertices[own], roi.vertices)
            assert set(layout.hemispheres[own]) == {roi.hemisphere}
            assert {layout.names[g] for g in layout.groups[own]} == {GROUPINGS[group_by](roi)}
        # Batches are of whole groups, in order, each column once.
        for step in (1, 20, 10_000):
            batches = list(layout.batches(step))
            assert np.concatenate([np.arange(b.start, b.stop) for b in batches]).tolist() == list(
                range(len(columns))
            )
            groups = [set(layout.groups[batch].tolist()) for batch in batches]
            assert sum(len(group) for group in groups) == len(layout.names)


def test_the_members_of_groups(simulated: Path) -> None:
    subject = find_subjects(simulated)[0]
    every = {h: _regions(subject, (h,)) for h in HEMISPHERES}
    both = every["lh"] + every["rh"]
    counted = {name: len({GROUPINGS[name](roi) for roi in both}) for name in GROUPINGS}
    assert counted["roi"] == len(both)
    assert counted["roi-both-hemispheres"] == len({roi.name for roi in both})
    assert counted["class"] == len({(roi.hemisphere, roi.roi_class) for roi in both})
    assert counted["class-both-hemispheres"] == len({roi.roi_class for roi in both})
    assert (counted["hemisphere"], counted["brain"]) == (2, 1)
    for name in GROUPINGS:
        assert spans(name) == (
            [tuple(HEMISPHERES)] if name in ACROSS_HEMISPHERES else [("lh",), ("rh",)]
        )


@pytest.mark.parametrize(
    ("model", "group_by"), [("ridge", "brain"), ("ridge", "class"), ("linear", "class")]
)
def test_a_group_chooses_together(simulated: Path, out: Path, model: str, group_by: str) -> None:
    quick = ["--params.epochs", "8", "--params.lr", "0.03"] if model == "linear" else []
    more = ["--model", model, "--params.scope", "roi", "--group-by", group_by, *quick]
    said = _regress(simulated, out, *more)
    assert said.startswith("0\n"), said
    chosen = "best_alphas_" if model == "ridge" else "epochs_"
    # A vertex that several ROIs claim has one model in a group.
    seen: dict[tuple[str, str, int], np.ndarray] = {}
    values: dict[str, set[float]] = {}
    for path in _fits(out):
        arrays, meta = read_artifact(path)
        loaded, _ = load_fit(path)
        np.testing.assert_array_equal(loaded.state()[chosen], arrays[chosen])
        values.setdefault(meta["group"], set()).update(np.ravel(arrays[chosen]).tolist())
        for vertex, predicted in zip(arrays["vertices"], arrays["test_predictions"].T, strict=True):
            key = (meta["group"], meta["hemisphere"], int(vertex))
            np.testing.assert_allclose(seen.setdefault(key, predicted), predicted, atol=1e-6)
    assert all(len(found) == 1 for found in values.values())
    assert len(values) == (1 if group_by == "brain" else 14)
    # One gone, its whole group is fitted again, to the same numbers.
    gone = _fits(out)[0]
    before, meta = read_artifact(gone)
    gone.unlink()
    again = _regress(simulated, out, *more)
    members = [p for p in _fits(out) if read_artifact(p)[1]["group"] == meta["group"]]
    assert f" models there already, {len(members)} to fit" in again
    after, _ = read_artifact(gone)
    np.testing.assert_allclose(
        after["test_predictions"], before["test_predictions"], rtol=1e-4, atol=1e-5
    )
    assert _regress(simulated, out, *more).count(", 0 to fit") == len(spans(group_by))


def test_a_grouping_that_changes_nothing_is_told_and_fits_nothing_anew(
    simulated: Path, out: Path
) -> None:
    assert _regress(simulated, out, "--model", "ridge").startswith("0\n")
    said = _regress(simulated, out, "--model", "ridge", "--group_by", "brain")
    assert "ridge chooses for each vertex alone: --group_by brain changes nothing; with" in said
    assert said.count(", 0 to fit") == 2


def test_an_unknown_grouping(simulated: Path, out: Path) -> None:
    said = _regress(simulated, out, "--model", "ridge", "--group_by", "lobe")
    assert "error: --group_by lobe: expected one of roi, roi-both-hemispheres, class" in said


def test_a_trained_fit_leaves_a_log_and_no_checkpoint(simulated: Path, out: Path) -> None:
    said = _regress(simulated, out, "--model", "linear", "--params.epochs", "3")
    assert said.startswith("0\n"), said
    assert not list(out.glob("searches/*/*"))
    logs = sorted(path.name for path in out.glob("logs/*/*.csv"))
    assert logs == [f"subj01.{h}.0-{phase}.csv" for h in ("lh", "rh") for phase in ("fit", "refit")]
    written = next(out.glob("logs/*/subj01.lh.0-fit.csv")).read_text().splitlines()
    assert written[0].startswith("epoch,seconds,learning_rate,group,vertices,training_loss,valid")
    assert any(",lh.V1v," in line for line in written)
    said = _regress(simulated, out, "--model", "linear", "--params.loss", "mae")
    assert "--params: loss 'mae': 'mae' is no loss; expected one of mse, " in said


def test_pictures_that_stop_a_training_leave_with_all_their_rows(
    broken: Callable[[], Path], out: Path
) -> None:
    """With every picture shown twice, responses to one's second showing must not stop it."""
    data = broken()
    folder = data / "subj01" / "training_split" / "training_images"
    pictures = sorted(folder.glob("*.png"))
    for first, second in zip(pictures[::2], pictures[1::2], strict=True):
        shutil.copy(first, second)
    subject = find_subjects(data)[0]
    names = subject.picture_digests("train")
    assert len(set(names)) == len(names) // 2
    store = FeatureStore(out / "features")
    design = load_design(subject, store, find_spaces(store, ["known"]))
    settings = Settings("linear", {}, 0.1, 5, 0)
    job = Job(subject, design, settings, Linear(), out / "fits" / "x")
    division = divide(names, 0.1, 0)
    inside = [name for name, fitted in zip(names, division.inside, strict=True) if fitted]
    present = ModelFiles(job, ("lh",))
    member = SubjectFit(job, present, present.rois, division)
    stopping = _SpanFit([member])._job_parameters([np.arange(5)])["validation"]
    assert isinstance(stopping, np.ndarray)
    assert 0 < stopping.sum() < len(inside) / 4
    where: dict[str, set[bool]] = {name: set() for name in inside}
    for name, stops in zip(inside, stopping, strict=True):
        where[name].add(bool(stops))
    assert all(len(sides) == 1 for sides in where.values())


@pytest.mark.slow
def test_what_critics_judge_together_is_fitted_together(simulated: Path, out: Path) -> None:
    critics = ["--params.discriminators", "per_roi+patch", "--params.epochs", "2"]
    command = ["--model", "shallow", *critics]
    assert _regress(simulated, out, *command).startswith("0\n")
    (folder,) = (out / "fits").glob("shallow-*/subj01")
    kept = {path.name: read_artifact(path)[0] for path in folder.glob("lh.*.h5")}
    _, meta = read_artifact(folder / "lh.V1v.h5")
    assert {"places", "group"} <= set(meta["inputs"])
    (folder / "lh.V1v.h5").unlink()
    told = _regress(simulated, out, *command)
    # One is missing, but the others had a part in it.
    assert f"lh: 0 models there already, {len(kept)} to fit" in told
    assert "rh: 0 models" not in told
    for name, before in kept.items():
        after, _ = read_artifact(folder / name)
        np.testing.assert_allclose(
            after["test_predictions"], before["test_predictions"], rtol=1e-4, atol=1e-5
        )


def test_a_vertex_that_moves_makes_another_fit(broken: Callable[[], Path], out: Path) -> None:
    data = broken()
    command = ["--model", "positional", "--params.epochs", "2"]
    assert _regress(data, out, *command).startswith("0\n")
    assert "lh: 0 models" not in _regress(data, out, *command)
    path = data / "subj01" / "roi_masks" / "lh.all-vertices_fsaverage_space.npy"
    mask = np.load(path)
    last, free = np.flatnonzero(mask)[-1], np.flatnonzero(mask == 0)[-1]
    mask[[last, free]] = mask[[free, last]]
    np.save(path, mask)
    told = _regress(data, out, *command)
    assert "lh: 0 models there already" in told
    assert "rh: 0 models" not in told
