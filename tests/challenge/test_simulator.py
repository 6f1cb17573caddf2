"""The simulator: the layout it writes, that it repeats itself, and that its truth is true."""

import hashlib
import json

import numpy as np
import pytest
from nilearn.datasets import load_fsaverage
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from challenge import HEMISPHERES, ROI_CLASSES, DataError, find_subjects, noise_ceiling
from challenge.layout import vertices_file
from challenge.simulator import simulate
from challenge.simulator.measurement import draw_order, record
from challenge.simulator.photographs import find_photographs
from challenge.simulator.stimuli import draw_pictures
from challenge.simulator.surface_patch import draw_patches

SMALL = {"subjects": 2, "seed": 0, "photos": "builtin", "picture_size": 32}
TINY = SMALL | {"train_images": 10, "test_images": 5, "vertices": 30}


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "simulation.json"
    }


def test_every_file_of_the_layout_is_written(simulated):
    subject = simulated / "subj01"
    found = {str(p.relative_to(subject)) for p in subject.rglob("*") if p.suffix == ".npy"}
    expected = {f"roi_masks/mapping_{c}.npy" for c in ROI_CLASSES}
    for h in HEMISPHERES:
        expected |= {
            f"training_split/training_fmri/{h}_training_fmri.npy",
            f"test_split/test_fmri/{h}_test_fmri.npy",
            f"test_split/noise_ceiling/{h}_noise_ceiling.npy",
            f"roi_masks/{h}.all-vertices_fsaverage_space.npy",
            f"truth/{h}_ncsnr.npy",
            f"truth/{h}_training_signal.npy",
            f"truth/{h}_test_signal.npy",
        }
        for space in ("fsaverage", "challenge"):
            expected |= {f"roi_masks/{h}.{c}_{space}_space.npy" for c in ROI_CLASSES}
    assert found == expected


def test_label_maps_agree_between_the_spaces(simulated):
    for subject in find_subjects(simulated):
        masks = subject.folder / "roi_masks"
        for h in HEMISPHERES:
            mask = np.load(masks / f"{h}.all-vertices_fsaverage_space.npy")
            assert mask.shape == (163842,)
            for c in ROI_CLASSES:
                surface = np.load(masks / f"{h}.{c}_fsaverage_space.npy")
                columns = np.load(masks / f"{h}.{c}_challenge_space.npy")
                np.testing.assert_array_equal(surface[mask != 0], columns)
                assert not surface[mask == 0].any()


def test_hemispheres_differ_and_the_last_subject_lacks_vertices(simulated):
    counts = [[s.n_vertices(h) for h in HEMISPHERES] for s in find_subjects(simulated)]
    assert counts == [[60, 65], [59, 64]]


def test_some_vertices_are_in_no_stream_and_some_in_no_region(tmp_path):
    simulate(tmp_path / "d", **(TINY | {"subjects": 1, "vertices": [1000, 1080]}))
    subject = find_subjects(tmp_path / "d")[0]
    for h, share in zip(HEMISPHERES, (0.03, 0.055), strict=True):
        n = subject.n_vertices(h)
        rois = subject.rois(h)
        streams = np.concatenate([r.vertices for r in rois if r.roi_class == "streams"])
        every = np.unique(np.concatenate([r.vertices for r in rois]))
        assert 1 - len(streams) / n == pytest.approx(share, abs=0.005)
        assert len(streams) < len(every) < n  # RSC is in no stream; some vertices are in nothing


def test_regions_are_patches_of_fsaverage5_at_the_back_of_the_brain(tmp_path):
    simulate(tmp_path / "d", **(TINY | {"subjects": 1, "vertices": [1000, 1080]}))
    subject = find_subjects(tmp_path / "d")[0]
    for h, side in zip(HEMISPHERES, ("left", "right"), strict=True):
        mesh = load_fsaverage("fsaverage5")["pial"].parts[side]
        at = np.flatnonzero(np.load(vertices_file(subject.folder, h)))
        assert at.max() < len(mesh.coordinates) == 10242
        assert mesh.coordinates[at, 1].max() < -20 < mesh.coordinates[:, 1].max()  # mm, front is +
        one = np.ones(len(mesh.faces) * 3)
        edges = (mesh.faces.ravel(), np.roll(mesh.faces, 1, axis=1).ravel())
        graph = coo_array((one, edges), shape=(10242, 10242)).tocsr()
        for roi in subject.rois(h):
            if roi.vertices.size:
                inside = at[roi.vertices]
                _, part = connected_components(graph[inside][:, inside], directed=False)
                assert np.bincount(part).max() > 0.7 * len(inside), roi.name


def test_more_vertices_than_the_patch_holds_lie_elsewhere_on_fsaverage():
    patch = draw_patches((3000, 160_000), np.random.default_rng(0))
    assert [(p.positions < 10242).sum() for p in patch.values()] == [1188, 160_000 - 153_600]
    for found, n in zip(patch.values(), (3000, 160_000), strict=True):
        assert (np.diff(found.positions) > 0).all()
        np.testing.assert_allclose(np.sort(found.line), (np.arange(n) + 0.5) / n)
    nested = patch["lh"].line[patch["lh"].positions < 10242]
    assert np.histogram(nested, 4)[0] == pytest.approx(1188 / 4, rel=0.1)


def test_the_same_nsd_id_is_the_same_picture(simulated):
    first, second = find_subjects(simulated)
    for split, expected in (("train", 4), ("test", 4)):
        held = [
            dict(zip(s.nsd_ids(split).tolist(), s.picture_digests(split), strict=True))
            for s in (first, second)
        ]
        shared = held[0].keys() & held[1].keys()
        assert len(shared) == expected
        assert all(held[0][i] == held[1][i] for i in shared)


def test_all_pictures_are_distinct_and_test_is_apart_from_training(simulated):
    subjects = find_subjects(simulated)
    ids = {
        split: {int(i) for s in subjects for i in s.nsd_ids(split)} for split in ("train", "test")
    }
    assert not ids["train"] & ids["test"]
    contents = {d for s in subjects for split in ids for d in s.picture_digests(split)}
    assert len(contents) == len(ids["train"]) + len(ids["test"])


def test_a_shared_picture_has_no_shared_noise(simulated):
    first, second = find_subjects(simulated)
    a, b = first.responses("lh", "test"), second.responses("lh", "test")
    assert not np.array_equal(a[:, :59], b)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, capsys):
    simulate(tmp_path / "a", **TINY)
    simulate(tmp_path / "b", **TINY)
    simulate(tmp_path / "c", **(TINY | {"seed": 1}))
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b
    responses = "subj01/training_split/training_fmri/lh_training_fmri.npy"
    assert a[responses] != c[responses]
    assert not {d for f, d in a.items() if f.endswith(".png")} & set(c.values())


def test_what_is_there_is_never_overwritten(tmp_path, capsys):
    folder = tmp_path / "a"
    folder.mkdir()  # an empty folder is no obstacle
    simulate(folder, **TINY)
    before = digests(folder)
    capsys.readouterr()
    simulate(folder, **TINY)
    assert "is there already, nothing to do" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"other settings .*'seed': 0.* not overwritten"):
        simulate(folder, **(TINY | {"seed": 5}))
    assert digests(folder) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").write_text("precious")
    with pytest.raises(
        DataError, match=r"holds other files than a simulation, and is not overwritten"
    ):
        simulate(tmp_path / "other", **TINY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "other"]


def test_the_record_says_how_to_make_it_again(simulated):
    record_ = json.loads((simulated / "simulation.json").read_text())
    assert record_["settings"]["seed"] == 0
    assert record_["settings"]["vertices"] == [60, 65]
    assert record_["photographs"]["source"] == "builtin"
    assert len(record_["photographs"]["digest"]) == 64
    assert "revision" in record_["provenance"]


def test_the_written_ceiling_is_that_of_the_written_ncsnr(simulated):
    for subject in find_subjects(simulated):
        for h in HEMISPHERES:
            ncsnr = np.load(subject.folder / f"truth/{h}_ncsnr.npy")
            np.testing.assert_allclose(
                subject.noise_ceiling(h), noise_ceiling(ncsnr, np.full(12, 3))
            )


def test_the_truth_explains_as_much_as_the_ceiling_says(tmp_path):
    size = {"subjects": 1, "train_images": 600, "test_images": 200, "vertices": 150}
    simulate(tmp_path / "d", **(SMALL | size))
    subject = find_subjects(tmp_path / "d")[0]
    explained, ceilings = [], []
    for h in HEMISPHERES:
        signal = np.concatenate([
            np.load(subject.folder / f"truth/{h}_{split}_signal.npy")
            for split in ("training", "test")
        ])  # fmt: skip
        np.testing.assert_allclose(signal.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(signal.std(axis=0), 1, atol=1e-3)
        measured = np.concatenate([subject.responses(h, split) for split in ("train", "test")])
        explained.append(
            [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(signal.T, measured.T, strict=True)]
        )
        ceilings.append(subject.noise_ceiling(h))
    explained, ceilings = np.concatenate(explained), np.concatenate(ceilings)
    assert np.mean(explained) == pytest.approx(np.mean(ceilings), abs=0.01)
    assert np.abs(explained - ceilings).max() < 0.12  # four standard errors of r^2, 800 pictures
    assert np.corrcoef(explained, ceilings)[0, 1] > 0.97
    assert np.mean(ceilings) == pytest.approx(0.35, abs=0.04)


def test_a_session_has_mean_zero_and_spread_one():
    rng = np.random.default_rng(0)
    sessions = draw_order(500, rng)
    assert [len(s) for s in sessions] == [750, 750]
    assert np.bincount(np.concatenate(sessions)).tolist() == [3] * 500
    signal = rng.standard_normal((500, 4)).astype(np.float32)
    measured = record(signal, np.array([0, 0.5, 1, 100.0]), sessions, rng)
    np.testing.assert_allclose(measured.mean(axis=0), 0, atol=1e-5)  # all trials count the same
    # The mean of three has the signal's variance and a third of the noise's, over that of a trial.
    expected = np.sqrt([1 / 3, (0.25 + 1 / 3) / 1.25, (1 + 1 / 3) / 2, 1])
    np.testing.assert_allclose(measured.std(axis=0), expected, rtol=0.08)


def test_the_signal_is_in_the_pictures_but_not_linear_in_their_pixels(tmp_path):
    size = {"subjects": 1, "train_images": 400, "test_images": 100, "vertices": 100}
    simulate(tmp_path / "d", **(SMALL | size))
    subject = find_subjects(tmp_path / "d")[0]
    pixels = {}
    for split in ("train", "test"):
        pictures = [Image.open(p).resize((8, 8)) for p in subject.pictures(split)]
        pixels[split] = np.array([np.asarray(p, dtype=float).ravel() / 255 for p in pictures])
    x, x_test = (p - pixels["train"].mean(axis=0) for p in pixels.values())
    y, y_test = (
        np.load(subject.folder / f"truth/lh_{split}_signal.npy") for split in ("training", "test")
    )
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
    predicted = x_test @ weights
    r2 = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(predicted.T, y_test.T, strict=True)]
    assert 0.1 < np.mean(r2) < 0.7
    assert np.max(r2) < 0.9


@pytest.fixture
def folder_of_photographs(tmp_path):
    """Crops of real photographs in two categories, and a cut-out of each."""
    for material in find_photographs("builtin").materials[:4]:
        at = tmp_path / "photos" / ("animals" if material.category == "chelsea" else "things")
        at.mkdir(parents=True, exist_ok=True)
        with Image.open(material.path) as image:
            image.convert("RGB").resize((160, 120)).save(at / f"{material.category}.jpg")
    return tmp_path / "photos"


def test_a_folder_of_the_users_photographs(tmp_path, folder_of_photographs, capsys):
    simulate(tmp_path / "d", **(TINY | {"photos": str(folder_of_photographs)}))
    assert str(folder_of_photographs) in capsys.readouterr().out
    record_ = json.loads((tmp_path / "d/simulation.json").read_text())
    assert record_["photographs"]["photographs"] == 4
    assert {m.category for m in find_photographs(str(folder_of_photographs)).materials} == {
        "animals",
        "things",
    }


def test_cutouts_are_pasted_on_photographs(tmp_path, folder_of_photographs):
    for file in list(folder_of_photographs.rglob("*.jpg")):
        with Image.open(file) as image:
            disc = Image.radial_gradient("L").resize(image.size).point(lambda v: 255 * (v < 120))
            cutout = image.copy()
            cutout.putalpha(disc)
            cutout.save(file.with_suffix(".png"))
        file.unlink()
    source = find_photographs(str(folder_of_photographs))
    assert source.describe()["cutouts"] == 4
    assert source.describe()["photographs"] == 10  # those that are always there lie behind
    simulate(tmp_path / "d", **(TINY | {"photos": str(folder_of_photographs)}))
    picture = next((tmp_path / "d/subj01/test_split/test_images").iterdir())
    with Image.open(picture) as image:
        assert image.mode == "RGB"


def test_folders_that_are_no_photographs(tmp_path, folder_of_photographs):
    with pytest.raises(DataError, match=r"--photos .*nowhere: no such folder"):
        simulate(tmp_path / "d", **(TINY | {"photos": str(tmp_path / "nowhere")}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no PNG or JPEG file"):
        simulate(tmp_path / "d", **(TINY | {"photos": str(tmp_path / "empty")}))
    (folder_of_photographs / "page.jpg").write_text("<html>")
    with pytest.raises(DataError, match=r"page.jpg: not a picture"):
        simulate(tmp_path / "d", **(TINY | {"photos": str(folder_of_photographs)}))
    assert not (tmp_path / "d").exists()


def test_photographs_that_give_too_few_pictures(tmp_path):
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (100, 100), "teal").save(tmp_path / "plain/wall.png")
    with pytest.raises(DataError, match=r"no more than 1 different pictures of 32 pixels"):
        simulate(tmp_path / "d", **(TINY | {"photos": str(tmp_path / "plain")}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": 0}, "--subjects: found 0, expected 1 to 99"),
        ({"vertices": 5}, "--vertices: found 5, expected 20 to 163842"),
        ({"vertices": [30, 163843]}, "found 163843, expected 20 to 163842"),
        ({"vertices": [30]}, r"--vertices: found \[30\], expected a number or two"),
        ({"test_images": 1}, "--test-images: found 1, expected 5"),
        ({"seed": -1}, "--seed: found -1"),
        ({"train_images": 60_000}, "need 1.* different ones, expected 73000 at most"),
        ({"picture_size": 2000, "train_images": 30_000, "subjects": 99}, "GB free, expected"),
    ],
)
def test_settings_out_of_range(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        simulate(tmp_path / "d", **(TINY | change))
    assert not list(tmp_path.iterdir())


def test_pictures_of_many_subjects_are_apart():
    drawn = draw_pictures(8, 9841, 159, np.random.default_rng(0))
    train = [set(subject["train"].tolist()) for subject in drawn]
    test = [set(subject["test"].tolist()) for subject in drawn]
    assert len(set.intersection(*train)) == 984
    assert len(set.intersection(*test)) == 48
    assert not set.union(*train) & set.union(*test)
    assert all(len(ids) == 9841 for ids in train)
