"""What `check` says, and what commands refuse before they work: all of it, at once."""

import shutil

import numpy as np
import pytest

import challenge
from challenge import DataError, find_subjects
from challenge.checks.dataset import inspect
from challenge.dataset import check_training_data
from challenge.files import open_array
from tests.builders.commands import call

HEADERS = {
    # tokenize.TokenError, SyntaxError, UnicodeDecodeError, ValueErrors, KeyError, a deep nesting
    "unclosed": b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4",
    "broken line": b"{'descr': '<f4', 'fortran_order': False,\n 'shape': (3, \\ 4), }",
    "no dict": b"[1, 2",
    "not latin": b"{'descr': '\xff\xfe', 'fortran_order': False, 'shape': (3, 4), }",
    "null": b"{'descr': '<f4', \x00 'fortran_order': False, 'shape': (3, 4), }",
    "unknown dtype": b"{'descr': '<q9', 'fortran_order': False, 'shape': (3, 4), }",
    "no number": b"{'descr': '<f4', 'fortran_order': False, 'shape': ('x', 4), }",
    "negative": b"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 4), }",
    "huge": b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 40 + b", 4), }",
    "nested": b"(" * 900 + b")" * 900,
    "indented": b"  \n   {'descr'\n  : }",
}


def npy(header: bytes, version: bytes = b"\x01\x00") -> bytes:
    width = 2 if version == b"\x01\x00" else 4
    content = header + b"\n"
    return b"\x93NUMPY" + version + len(content).to_bytes(width, "little") + content + bytes(48)


@pytest.fixture
def damaged(broken):
    return find_subjects(broken(), "01")[0]


def responses_of(subject, hemisphere="lh", split="training"):
    return subject.folder / f"{split}_split/{split}_fmri/{hemisphere}_{split}_fmri.npy"


@pytest.mark.parametrize("name", HEADERS)
def test_a3_headers_of_any_kind_are_named(tmp_path, name):
    file = tmp_path / "values.npy"
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x07\x00"):
        file.write_bytes(npy(HEADERS[name], version))
        with pytest.raises(DataError, match=r"values.npy: not read as a NumPy array \(.+\); expec"):
            open_array(file)


@pytest.mark.parametrize("kind", ["archive", "pickle", "folder", "empty", "objects"])
def test_a3_what_is_no_array(tmp_path, kind):
    file = tmp_path / "values.npy"
    if kind == "archive":
        np.savez(tmp_path / "values.npz", a=np.ones(3))
        (tmp_path / "values.npz").rename(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "objects":
        np.save(file, np.array([{"a": 1}], dtype=object))
    else:
        file.write_bytes(b"\x80\x04K\x01." if kind == "pickle" else b"")
    with pytest.raises(DataError, match=r"values.npy: not read as a NumPy array"):
        open_array(file)


def test_a3_one_broken_header_hides_nothing_else(damaged):
    responses_of(damaged).write_bytes(npy(HEADERS["unclosed"]))
    values = np.load(responses_of(damaged, "rh"))
    values[2, 3] = np.inf
    np.save(responses_of(damaged, "rh"), values)
    faults = list(inspect([damaged]).faults)
    assert len(faults) == 2
    assert "lh_training_fmri.npy: not read as a NumPy array" in faults[0]
    assert "rh_training_fmri.npy: 1 values are NaN or infinite" in faults[1]


def test_r3_test_pictures_in_training_are_listed(damaged):
    assert challenge.test_pictures_in_training(damaged) == []
    train, test = damaged.pictures("train"), damaged.pictures("test")
    for number in (0, 3, 7):
        shutil.copy(test[number], train[number + 20])
    (again,) = find_subjects(damaged.folder.parent, "1")
    pairs = [(test[n], train[n + 20]) for n in (0, 3, 7)]
    assert challenge.test_pictures_in_training(again) == pairs
    faults = list(inspect([again]).faults)
    assert len(faults) == 3
    for (picture, copied), fault in zip(pairs, faults, strict=True):
        assert fault.startswith(f"{picture}: the same contents as the training picture ")
        assert copied.name in fault


def test_r3_without_one_of_the_splits_nothing_is_shared(damaged):
    shutil.rmtree(damaged.folder / "training_split")
    assert challenge.test_pictures_in_training(damaged) == []


def test_r11_constant_test_responses_with_a_ceiling_are_named(damaged):
    ceiling = damaged.noise_ceiling("rh")
    (without,) = np.flatnonzero(ceiling == 0)[:1]
    first, second = np.flatnonzero(ceiling > 0)[[2, 9]]
    file = responses_of(damaged, "rh", "test")
    values = np.load(file)
    values[:, [first, second, without]] = 0.7
    np.save(file, values)
    (fault,) = list(inspect([damaged]).faults)
    assert fault.startswith(
        f"{file}: 2 vertices have (columns {first}, {second}, counting from 0) the same response to"
    )
    # Without ceilings it is no contradiction, and said all the same.
    shutil.rmtree(damaged.folder / "test_split/noise_ceiling")
    findings = inspect([damaged])
    assert not findings.faults
    (remark,) = findings.remarks
    assert remark.startswith(f"{file}: 3 vertices have (columns ")


def scatter_faults(subject):
    """Damage nine files, each of which an earlier check used to hide."""
    masks = subject.folder / "roi_masks"
    np.save(masks / "lh.all-vertices_fsaverage_space.npy", np.ones(7, np.int32))
    np.save(masks / "lh.streams_challenge_space.npy", np.full(60, 0.5))
    (masks / "mapping_floc-bodies.npy").write_bytes(b"nothing")
    for hemisphere in ("lh", "rh"):
        file = masks / f"{hemisphere}.floc-words_challenge_space.npy"
        labels = np.load(file)
        labels[:2] = [77, 78]
        np.save(file, labels)
    values = np.load(responses_of(subject))
    values[1, 2] = np.nan
    np.save(responses_of(subject), values)
    values = np.load(responses_of(subject, "rh"))
    values[4, 5] = -np.inf
    np.save(responses_of(subject, "rh"), values[:, :-3])
    ceilings = subject.folder / "test_split/noise_ceiling"
    for hemisphere in ("lh", "rh"):
        file = ceilings / f"{hemisphere}_noise_ceiling.npy"
        np.save(file, np.load(file) - 0.5)
    subject.pictures("train")[6].unlink()
    return (
        "training_images: 1 of the indices up to 40 are missing (7)",
        "lh.all-vertices_fsaverage_space.npy: shape (7,), expected (163842,)",
        "lh.streams_challenge_space.npy: float64 values, expected whole numbers",
        "mapping_floc-bodies.npy: not read: ",
        "lh.floc-words_challenge_space.npy: label 77, 78 is in no entry of mapping_floc-words.npy",
        "rh.floc-words_challenge_space.npy: label 77, 78 is in no entry",
        "rh.floc-words_challenge_space.npy: 2 labels are not those of",
        "lh_training_fmri.npy: 1 values are NaN or infinite, the first at row 1, column 2",
        "rh_training_fmri.npy: 62 columns, expected 65",
        "rh_training_fmri.npy: 1 values are NaN or infinite, the first at row 4, column 5",
        "lh_noise_ceiling.npy: values from -0.5 to",
        "rh_noise_ceiling.npy: values from -0.5 to",
    )


def test_n6_every_fault_is_listed_at_once(damaged):
    expected = scatter_faults(damaged)
    faults = list(inspect([damaged]).faults)
    for told in expected:
        assert sum(told in fault for fault in faults) == 1, told
    assert len(faults) == len(expected)


def test_n7_what_is_needed_is_the_masks_of_the_columns(damaged):
    """Eighteen of the thirty-two files: nothing but maps reads those of fsaverage."""
    before = [(roi.roi_class, roi.name, roi.vertices.tolist()) for roi in damaged.regions("lh")]
    for file in (damaged.folder / "roi_masks").glob("*_fsaverage_space.npy"):
        file.unlink()
    after = [(roi.roi_class, roi.name, roi.vertices.tolist()) for roi in damaged.regions("lh")]
    assert after == before
    check_training_data([damaged])
    findings = inspect([damaged])
    assert not findings.faults
    (remark,) = findings.remarks
    assert "roi_masks" not in remark
    assert "no maps, no ceilings from ncsnr and no models that use positions" in remark
    said = call("challenge", "check", damaged.folder.parent)
    assert said.returncode == 0, said.stdout
    assert f"note: {remark}" in said.stdout


def test_n7_a_class_without_masks_has_no_rois(damaged):
    masks = damaged.folder / "roi_masks"
    for roi_class in ("streams", "floc-words"):
        for file in (*masks.glob(f"?h.{roi_class}_*.npy"), masks / f"mapping_{roi_class}.npy"):
            file.unlink()
    for hemisphere in ("lh", "rh"):
        regions = damaged.regions(hemisphere)
        assert not {"streams", "floc-words"} & {roi.roi_class for roi in regions}
        covered = np.concatenate([roi.vertices for roi in regions])
        assert set(covered) == set(range(damaged.n_vertices(hemisphere)))
        assert regions[-1].name == "residual"
    findings = inspect([damaged])
    assert not findings.faults
    (remark,) = findings.remarks
    assert "no masks of floc-words, streams, so no ROIs of them" in remark
    # Some of a class' files are a copy that was not finished.
    (masks / "rh.floc-faces_challenge_space.npy").unlink()
    assert [fault.split("roi_masks/")[1][:42] for fault in list(inspect([damaged]).faults)] == [
        "rh.floc-faces_challenge_space.npy: missing"
    ]
    with pytest.raises(DataError, match=r"rh.floc-faces_challenge_space.npy: missing"):
        damaged.regions("rh")


def test_n7_without_any_mask_all_vertices_are_the_residual(damaged):
    shutil.rmtree(damaged.folder / "roi_masks")
    (region,) = damaged.regions("rh")
    assert (region.name, region.vertices.tolist()) == ("residual", list(range(65)))
    findings = inspect([damaged])
    assert not findings.faults
    assert len(findings.remarks) == 2


def test_the_test_split_alone_can_be_scored(damaged):
    shutil.rmtree(damaged.folder / "training_split")
    assert [damaged.n_vertices(h) for h in ("lh", "rh")] == [60, 65]
    said = call("challenge", "check", damaged.folder.parent)
    assert "subj01: no training_split: submissions can be scored, and nothing can be" in said.stdout
    assert said.returncode == 0, said.stdout


def test_u6_all_that_a_fit_lacks_is_said_before_it_begins(damaged):
    responses_of(damaged, "rh").unlink()
    responses_of(damaged, "lh").unlink()
    (damaged.folder / "roi_masks/mapping_streams.npy").unlink()
    (damaged.folder / "roi_masks/rh.floc-faces_challenge_space.npy").unlink()
    shutil.rmtree(damaged.folder / "test_split/test_images")
    with pytest.raises(DataError) as caught:
        check_training_data([damaged])
    text = str(caught.value)
    assert text.startswith("5 faults in the data:\n- ")
    for name in (
        "test_images", "lh_training_fmri.npy", "rh_training_fmri.npy", "mapping_streams.npy",
        "rh.floc-faces_challenge_space.npy",
    ):  # fmt: skip
        assert f"{name}: missing" in text


def test_u6_rows_and_columns_are_said_together(damaged):
    values = np.load(responses_of(damaged))
    np.save(responses_of(damaged), values[:-1, :-2])
    with pytest.raises(DataError) as caught:
        damaged.responses("lh")
    first, second = str(caught.value).splitlines()
    assert "39 rows, expected 40" in first
    assert "58 columns, expected 60" in second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c * 0 + 100, "values from 100 to 100, expected .* percent: divide by 100"),
        (lambda c: c * 0 + 2, "values from 2 to 2, expected .* percent: divide by 100"),
        (lambda c: c - 1, "values from -1 to -0"),
    ],
)
def test_n9_the_values_are_those_that_there_are(damaged, change, message):
    file = damaged.folder / "test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(DataError, match=message):
        damaged.noise_ceiling("lh")


def test_r12_one_ceiling_above_1_is_no_percentage(damaged):
    file = damaged.folder / "test_split/noise_ceiling/lh_noise_ceiling.npy"
    ceilings = np.load(file)
    ceilings[[17, 30]] = [1.02, 1.5]
    np.save(file, ceilings)
    with pytest.raises(DataError) as caught:
        damaged.noise_ceiling("lh")
    assert "values from 0 to 1.5" in str(caught.value)
    assert "2 of 60 are above 1, the first at vertex 17 (1.02)" in str(caught.value)
    assert "percent" not in str(caught.value)
    np.save(file, 100 * np.load(file).clip(0, 1))
    with pytest.raises(DataError, match="these look like percent: divide by 100"):
        damaged.noise_ceiling("lh")


@pytest.mark.parametrize("values", [np.full(5, "0.5"), np.full(5, 1j), np.full(5, "a", "S1")])
def test_a3_vectors_of_other_kinds(damaged, values):
    file = damaged.folder / "test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(file, values)
    with pytest.raises(DataError, match=r"lh_noise_ceiling.npy: .* values, expected a number for"):
        damaged.noise_ceiling("lh")


def test_a_mask_marks_vertices_by_numbers(damaged):
    file = damaged.folder / "roi_masks/lh.all-vertices_fsaverage_space.npy"
    mask = np.load(file).astype(np.float32)
    np.save(file, mask * 0)
    with pytest.raises(DataError, match="all values are 0, expected others where a vertex was"):
        damaged.n_vertices("lh")
    mask[5] = np.nan
    np.save(file, mask)
    with pytest.raises(DataError, match="holds NaN or infinite values, 1 of 163842"):
        damaged.n_vertices("lh")


def test_two_folders_of_one_subject_are_refused(damaged):
    data = damaged.folder.parent
    shutil.copytree(damaged.folder / "roi_masks", data / "subj1" / "roi_masks")
    with pytest.raises(DataError, match="subj1: of the same subject as subj01, expected one"):
        find_subjects(data)
