"""The reader's contract: of any legal directory it gives the truth, and others it refuses."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from challenge import HEMISPHERES, ROI_CLASSES, DataError, Subject, load_rgb
from challenge.checks.dataset import inspect
from challenge.dataset import check_training_data, check_values
from challenge.layout import SPLITS
from challenge.rois.label_maps import RESIDUAL
from tests.builders.directories import Directory, directories

# The same examples on every machine, however slow it is.
STEADY = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)


@contextmanager
def written(directory: Directory) -> Iterator[Subject]:
    """Write a directory for as long as it is looked at."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "subj03"
        directory.write(folder)
        yield Subject(folder)


@STEADY
@given(directory=directories())
def test_the_reader_gives_the_truth(directory: Directory) -> None:
    with written(directory) as subject:
        check_training_data([subject])
        check_values([subject])
        assert subject.has_test_responses == directory.tested
        _check_pictures(subject, directory)
        for hemisphere in HEMISPHERES:
            _check_hemisphere(subject, hemisphere, directory)
        _check_faults(subject, directory)


def _check_pictures(subject: Subject, directory: Directory) -> None:
    for split in SPLITS:
        pictures = subject.pictures(split)
        assert [picture.name for picture in pictures] == directory.names[split]
        assert subject.nsd_ids(split).tolist() == directory.nsd_ids[split]
        digests = [hashlib.sha256(picture.read_bytes()).hexdigest() for picture in pictures]
        assert subject.picture_digests(split) == digests
        assert all(load_rgb(picture).size == (4, 4) for picture in pictures)


def _check_hemisphere(subject: Subject, hemisphere: str, directory: Directory) -> None:
    n = directory.n_vertices[hemisphere]
    assert subject.n_vertices(hemisphere) == n
    for split in SPLITS if directory.tested else ("train",):
        expected = directory.responses(hemisphere, split)
        np.testing.assert_array_equal(subject.responses(hemisphere, split), expected)
    for split in SPLITS:
        ceilings = subject.noise_ceiling(hemisphere, split)
        if split in directory.ceilings:
            np.testing.assert_array_equal(ceilings, directory.ceiling(hemisphere))
        else:
            assert ceilings is None
    rois = {(hemisphere, roi.roi_class, roi.name): set(roi.vertices.tolist())
            for roi in subject.rois(hemisphere)}  # fmt: skip
    assert rois == {key: where for key, where in directory.regions.items() if key[0] == hemisphere}
    regions = subject.regions(hemisphere)
    assert all(roi.vertices.size for roi in regions)
    claimed = set().union(*rois.values())
    residual = [set(roi.vertices.tolist()) for roi in regions if roi.name == RESIDUAL]
    assert residual == ([set(range(n)) - claimed] if len(claimed) < n else [])


def _check_faults(subject: Subject, directory: Directory) -> None:
    """Check that the only faults are names that are not the challenge's."""
    others = {
        f"mapping_{roi_class}.npy"
        for roi_class, mapping in directory.mappings.items()
        if {label: name for label, name in mapping.items() if label}
        != dict(enumerate(ROI_CLASSES[roi_class], start=1))
    }
    faults = inspect([subject]).faults
    assert {fault.partition(": names")[0].rpartition("/")[2] for fault in faults} == others


def _without(pictures: list[Path], row: int) -> str:
    pictures[row].unlink()
    return f"1 of the indices up to {len(pictures)} are missing ({row + 1})"


def _twice(pictures: list[Path], row: int) -> str:
    name = f"{_start(pictures[row])}{row + 1}_nsd-73.gif"
    shutil.copy(pictures[row], pictures[row].with_name(name))
    return f"2 pictures of index {row + 1}, expected each index once"


def _of_the_other_split(pictures: list[Path], row: int) -> str:
    other = {"train-": "test-", "test-": "train-"}[_start(pictures[row])]
    pictures[row].rename(pictures[row].with_name(f"{other}{row + 1}_nsd-7.png"))
    return "the name is of the other split"


def _from_zero(pictures: list[Path], row: int) -> str:
    for number, picture in enumerate(pictures):
        picture.rename(picture.with_name(f"{_start(picture)}{number}_nsd-{number}.png"))
    return "index 0, expected indices from 1"


def _without_index(pictures: list[Path], row: int) -> str:
    pictures[row].rename(pictures[row].with_name("boat.png"))
    return "boat.png: the name holds no index"


def _in_another_format(pictures: list[Path], row: int) -> str:
    pictures[row].rename(pictures[row].with_suffix(".jxl"))
    return ".jxl: left out, as its suffix is none of"


def _start(picture: Path) -> str:
    return picture.name.partition("-")[0] + "-"


@pytest.mark.parametrize(
    "spoil", [_without, _twice, _of_the_other_split, _from_zero, _without_index, _in_another_format]
)
def test_rows_that_are_not_certain_are_refused_everywhere(spoil) -> None:
    @settings(STEADY, max_examples=3)
    @given(directory=directories(), split=st.sampled_from(sorted(SPLITS)), data=st.data())
    def refuse(directory: Directory, split: str, data: st.DataObject) -> None:
        with written(directory) as subject:
            pictures = subject.pictures(split)
            # The last may be absent: nothing but responses tells that.
            last = len(pictures) - 1 - (spoil is _without)
            assume(last > 0)
            message = spoil(pictures, data.draw(st.integers(0, last)))
            for read in (lambda: subject.pictures(split), lambda: check_training_data([subject])):
                with pytest.raises(DataError, match=re.escape(message)):
                    read()
            assert any(message in fault for fault in inspect([subject]).faults)

    refuse()
