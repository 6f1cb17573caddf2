"""A challenge directory of any size, and features for it; all numbers are random.

No time depends on what the numbers mean, and nothing is said about them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cache import FeatureStore
from challenge import HEMISPHERES, ROI_CLASSES, find_subjects
from challenge.layout import (
    N_FSAVERAGE,
    ceiling_file,
    labels_file,
    mapping_file,
    pictures_folder,
    responses_file,
    vertices_file,
)


@dataclass(frozen=True)
class Size:
    """The size of a piece of work.

    Attributes
    ----------
    train, test : int
        Pictures of each subject.
    side : int
        Width and height of the pictures, pixels.
    columns : int
        Of the features, all spaces together.
    spaces : int
        Feature spaces, of equal width.
    vertices : int
        Of both hemispheres.
    subjects : int
        Subjects.
    rois : int
        Of each hemisphere, 28 at most; each vertex is in one.
    """

    train: int
    test: int
    side: int
    columns: int
    spaces: int
    vertices: int
    subjects: int
    rois: int


def write_data(folder: Path, size: Size) -> None:
    """Write the directory.

    Parameters
    ----------
    folder : Path
        A new folder.
    size : Size
        How much of everything.
    """
    rng = np.random.default_rng(0)
    for number in range(1, size.subjects + 1):
        subject = folder / f"subj{number:02d}"
        for split, count in (("train", size.train), ("test", size.test)):
            # Ids of a subject's own: no picture is shared.
            first = number * 100_000 + (0 if split == "train" else 50_000)
            _write_pictures(pictures_folder(subject, split), split, count, first, size.side)
        _write_masks(subject, size)
        for hemisphere in HEMISPHERES:
            for split, count in (("train", size.train), ("test", size.test)):
                values = rng.standard_normal((count, size.vertices // 2), dtype=np.float32)
                _save(responses_file(subject, hemisphere, split), values)
            ceilings = rng.uniform(0.1, 0.8, size.vertices // 2)
            _save(ceiling_file(subject, hemisphere, "test"), ceilings)


def write_features(data: Path, out: Path, size: Size) -> list[str]:
    """Write feature spaces for it.

    Parameters
    ----------
    data : Path
        The directory.
    out : Path
        Where `features` goes.
    size : Size
        As the directory was written.

    Returns
    -------
    list of str
        The names of the spaces.
    """
    pictures = [
        name
        for subject in find_subjects(data)
        for split in ("train", "test")
        for name in subject.picture_digests(split)
    ]
    names = [f"space{number}" for number in range(size.spaces)]
    for number, name in enumerate(names):
        write_space(out, name, pictures, size.columns // size.spaces, number)
    return names


def write_space(out: Path, name: str, pictures: Sequence[str], columns: int, seed: int) -> None:
    """Write a feature space, a block of rows after another.

    Parameters
    ----------
    out : Path
        Where `features` goes.
    name : str
        Of the space.
    pictures : sequence of str
        The sha256 of each row's picture.
    columns, seed : int
        Of its random numbers.
    """
    rng = np.random.default_rng(seed)
    store = FeatureStore(out / "features")
    with store.writer(name, {"made by": "benchmarks.scale", "n": name}, {"origin": "random"}) as to:
        for start in range(0, len(pictures), 20_000):
            some = pictures[start : start + 20_000]
            to.add(some, rng.standard_normal((len(some), columns), dtype=np.float32))


def _write_pictures(folder: Path, split: str, count: int, first: int, side: int) -> None:
    """Write pictures that compress about as photographs do: smooth, with some noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(first)
    for index in range(count):
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        noisy = smooth.astype(np.int16) + rng.integers(-12, 13, smooth.shape)
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        name = f"{split}-{index + 1:05d}_nsd-{first + index:07d}.png"
        picture.save(folder / name, compress_level=1)


def _write_masks(subject: Path, size: Size) -> None:
    half = size.vertices // 2
    mask = np.zeros(N_FSAVERAGE, np.int32)
    mask[:half] = 1
    names = [(roi_class, label) for roi_class, own in ROI_CLASSES.items() for label in own]
    blocks = np.array_split(np.arange(half), size.rois)
    for roi_class, own in ROI_CLASSES.items():
        mapping = np.array(dict(enumerate(("Unknown", *own))), dtype=object)
        _save(mapping_file(subject, roi_class), mapping)
        labels = np.zeros(half, np.int32)
        for (of, name), block in zip(names, blocks, strict=False):
            if of == roi_class:
                labels[block] = own.index(name) + 1
        wide = np.zeros(N_FSAVERAGE, np.int32)
        wide[:half] = labels
        for hemisphere in HEMISPHERES:
            _save(labels_file(subject, hemisphere, roi_class), labels)
            _save(labels_file(subject, hemisphere, roi_class, "fsaverage"), wide)
    for hemisphere in HEMISPHERES:
        _save(vertices_file(subject, hemisphere), mask)


def _save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, values, allow_pickle=True)
