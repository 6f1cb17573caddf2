"""Regions and their names: several labels of one name, and names that fits are saved under."""

import numpy as np
import pytest

from challenge import DataError, find_subjects
from challenge.checks.dataset import inspect
from challenge.dataset import check_training_data


@pytest.fixture
def subject(broken):
    return find_subjects(broken(), "01")[0]


def rename(subject, roi_class, names):
    file = subject.folder / f"roi_masks/mapping_{roi_class}.npy"
    np.save(file, np.array({0: "Unknown", **dict(enumerate(names, start=1))}, dtype=object))


def test_e5_two_labels_of_one_name_are_one_region(subject):
    labels = np.load(subject.folder / "roi_masks/lh.prf-visualrois_challenge_space.npy")
    rename(subject, "prf-visualrois", ["V1", "V1", "V2", "V2", "V3", "V3", "hV4"])
    found = {
        roi.name: roi.vertices for roi in subject.rois("lh") if roi.roi_class == "prf-visualrois"
    }
    np.testing.assert_array_equal(found["V1"], np.flatnonzero((labels == 1) | (labels == 2)))
    np.testing.assert_array_equal(found["V3"], np.flatnonzero((labels == 5) | (labels == 6)))
    assert found["V1"].size > max((labels == 1).sum(), (labels == 2).sum())
    assert sum(vertices.size for vertices in found.values()) == (labels > 0).sum()
    assert len([roi for roi in subject.regions("lh") if roi.name == "V1"]) == 1


def test_e5_a_negative_label_is_no_sign_for_an_absent_name(subject):
    """With -1 for "no such label", a region that nothing names had these vertices."""
    file = subject.folder / "roi_masks/lh.floc-places_challenge_space.npy"
    labels = np.load(file)
    labels[labels == 0] = -1
    np.save(file, labels)
    rename(subject, "floc-places", ["OPA", "PPA", "other"])
    with pytest.raises(DataError, match=r"lh.floc-places_.*: label -1 is in no entry of mapping_"):
        subject.rois("lh")
    mapping = {-1: "elsewhere", 0: "Unknown", 1: "OPA", 2: "PPA", 3: "other"}
    np.save(subject.folder / "roi_masks/mapping_floc-places.npy", np.array(mapping, dtype=object))
    found = {roi.name: roi.vertices for roi in subject.rois("lh")}
    assert found["RSC"].size == 0
    np.testing.assert_array_equal(found["elsewhere"], np.flatnonzero(labels == -1))


def test_e5_maps_number_regions_by_their_names(subject):
    from evaluate.maps.values import _labels, region_names

    labels = np.load(subject.folder / "roi_masks/lh.floc-places_challenge_space.npy")
    names = region_names([subject], "floc-places")
    assert names == ("OPA", "PPA", "RSC")
    np.testing.assert_array_equal(_labels(subject, "lh", "floc-places", names), labels)
    rename(subject, "floc-places", ["PPA", "OPA", "OPA"])
    expected = np.array([0, 2, 1, 1])[labels]
    found = _labels(subject, "lh", "floc-places", region_names([subject], "floc-places"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n" * 300, "which is 300 bytes long, expected 200 at most"),
        ("ä" * 101, "which is 202 bytes long, expected 200 at most"),
        ("a\0b", r"which holds '\\x00'"),
        ("a/b", "which holds '/'"),
        ("a\\b", r"which holds '\\\\'"),
        ("a\nb", r"which holds '\\n'"),
        ("a\x1bb", r"which holds '\\x1b'"),
        ("a\ud800", r"which holds '\\ud800'"),
        (".", "which is not a name"),
        ("..", "which is not a name"),
        ("  ", "which is not a name"),
        ("", "which is not a name"),
        ("all", "which is reserved"),
        ("Residual", "which is reserved"),
    ],
)
def test_a6_names_that_cannot_be_files_are_refused_by_check_and_fit(subject, name, message):
    rename(subject, "floc-places", ["OPA", name, "RSC"])
    said = rf"mapping_floc-places.npy: label 2 is called .*, {message}.*: rename it"
    with pytest.raises(DataError, match=said):
        subject.rois("lh")
    with pytest.raises(DataError, match=said):
        check_training_data([subject])


def test_a6_check_says_the_same(subject):
    rename(subject, "floc-places", ["OPA", "n" * 300, "RSC"])
    (fault,) = list(inspect([subject]).faults)
    with pytest.raises(DataError) as caught:
        check_training_data([subject])
    assert fault == str(caught.value)


def test_a6_names_of_any_script_are_kept(subject):
    rename(subject, "floc-places", ["頭頂 (OPA)", "p.p.a", "-RSC "])
    names = {roi.name for roi in subject.regions("lh")}
    assert {"頭頂 (OPA)", "p.p.a"} <= names


@pytest.mark.parametrize("name", ["V1v", "v1V", "EBA", "e\u0301", "\u00e9"])
def test_a6_one_name_in_two_classes_would_be_one_file(subject, name):
    rename(subject, "floc-bodies", ["EBA", "\u00e9", "FBA-2", "mTL-bodies"])
    rename(subject, "floc-places", ["OPA", name, "RSC"])
    with pytest.raises(DataError, match=r"mapping_floc-places.npy: names a region .* and .* one"):
        subject.regions("lh")
    (fault,) = (f for f in list(inspect([subject]).faults) if "names a region" in f)
    assert "fits are saved under the names of ROIs, upper and lower case alike: rename" in fault
