"""Odd but legal directories, drawn with the truth of what they hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from challenge import HEMISPHERES, ROI_CLASSES
from challenge.layout import (
    N_FSAVERAGE,
    N_NSD,
    SPLITS,
    ceiling_file,
    labels_file,
    mapping_file,
    pictures_folder,
    responses_file,
    vertices_file,
)

SUFFIXES = (".png", ".PNG", ".jpg", ".JPEG", ".bmp", ".tif", ".TIFF", ".webp")
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
WHOLE = (np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64)
NUMBERS = (*WHOLE, np.float32, np.float64)


@dataclass
class Directory:
    """One subject: everything that its files hold.

    Attributes
    ----------
    names : dict of str to list of str
        For each split, the names of its pictures in the order of the rows.
    nsd_ids : dict of str to list of int
        Their NSD ids.
    n_vertices : dict of str to int
        For each hemisphere.
    regions : dict of (str, str, str) to set of int
        For each hemisphere, class and name, the columns of the region.
    labels : dict of (str, str) to array (n_vertices,)
        For each hemisphere and class that has masks, the label map.
    mappings : dict of str to dict of int to str
        For each class that has masks, the names of its labels.
    masks : dict of str to array (163842,)
        For each hemisphere whose vertices have places, the mask.
    """

    names: dict[str, list[str]]
    nsd_ids: dict[str, list[int]]
    n_vertices: dict[str, int]
    regions: dict[tuple[str, str, str], set[int]] = field(default_factory=dict)
    labels: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    mappings: dict[str, dict[int, str]] = field(default_factory=dict)
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    tested: bool = True
    ceilings: tuple[str, ...] = ()

    def responses(self, hemisphere: str, split: str) -> np.ndarray:
        """Return responses that tell row and column apart."""
        shape = (len(self.names[split]), self.n_vertices[hemisphere])
        start = 1000 * (1 + HEMISPHERES.index(hemisphere) + 2 * list(SPLITS).index(split))
        return (start + np.arange(shape[0] * shape[1])).reshape(shape).astype(np.float32)

    def ceiling(self, hemisphere: str) -> np.ndarray:
        """Return a ceiling for each vertex."""
        return np.linspace(0, 1, self.n_vertices[hemisphere])

    def write(self, folder: Path) -> None:
        """Write all files of the subject."""
        for number, (split, names) in enumerate(self.names.items()):
            pictures_folder(folder, split).mkdir(parents=True)
            for row, name in enumerate(names):
                _draw(pictures_folder(folder, split) / name, 100 * number + row)
        splits = SPLITS if self.tested else ("train",)
        for hemisphere in HEMISPHERES:
            for split in splits:
                _save(responses_file(folder, hemisphere, split), self.responses(hemisphere, split))
            for split in self.ceilings:
                _save(ceiling_file(folder, hemisphere, split), self.ceiling(hemisphere))
        for hemisphere, mask in self.masks.items():
            _save(vertices_file(folder, hemisphere), mask)
        for (hemisphere, roi_class), labels in self.labels.items():
            _save(labels_file(folder, hemisphere, roi_class), labels)
        for roi_class, mapping in self.mappings.items():
            _save(mapping_file(folder, roi_class), np.array(mapping, dtype=object))


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    """Draw a legal directory."""
    sizes = {split: draw(st.integers(1, 12)) for split in SPLITS}
    numbers = draw(
        st.lists(st.integers(0, N_NSD - 1), min_size=24, max_size=24, unique=True), label="NSD ids"
    )
    nsd_ids = {"train": numbers[: sizes["train"]], "test": numbers[12 : 12 + sizes["test"]]}
    names = {split: [draw(_names(split, i, n)) for i, n in enumerate(nsd_ids[split], start=1)]
             for split in SPLITS}  # fmt: skip
    found = Directory(names, nsd_ids, {h: draw(st.integers(1, 9)) for h in HEMISPHERES})
    found.tested = draw(st.booleans())
    found.ceilings = tuple(draw(st.sets(st.sampled_from(sorted(SPLITS)))))
    if draw(st.booleans(), label="has places"):
        found.masks = {h: draw(_masks(n)) for h, n in found.n_vertices.items()}
    for roi_class in ROI_CLASSES:
        if draw(st.booleans(), label=f"has {roi_class}"):
            draw(_add_class(found, roi_class))
        else:
            for hemisphere in HEMISPHERES:
                found.regions |= {(hemisphere, roi_class, n): set() for n in ROI_CLASSES[roi_class]}
    return found


@st.composite
def _names(draw: st.DrawFn, split: str, index: int, nsd_id: int) -> str:
    index_width, id_width = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    suffix = draw(st.sampled_from(SUFFIXES))
    return f"{split}-{index:0{index_width}d}_nsd-{nsd_id:0{id_width}d}{suffix}"


@st.composite
def _masks(draw: st.DrawFn, n_vertices: int) -> np.ndarray:
    places = draw(
        st.sets(st.integers(0, N_FSAVERAGE - 1), min_size=n_vertices, max_size=n_vertices)
    )
    mask = np.zeros(N_FSAVERAGE, draw(st.sampled_from([np.bool_, *NUMBERS])))
    mask[sorted(places)] = draw(st.sampled_from([1, 2, 7]))
    return mask


@st.composite
def _add_class(draw: st.DrawFn, found: Directory, roi_class: str) -> None:
    """Draw label maps whose labels may share names, leave gaps, or belong to own regions."""
    usual = ROI_CLASSES[roi_class]
    own = (f"{roi_class} own", f"{roi_class}.ö")
    labels = draw(st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True))
    names = [draw(st.sampled_from([*usual, *own])) for _ in labels]
    mapping = dict(zip(labels, names, strict=True))
    if draw(st.booleans()):
        mapping[0] = "Unknown"
    found.mappings[roi_class] = mapping
    for hemisphere, n in found.n_vertices.items():
        drawn = draw(st.lists(st.sampled_from([0, *labels]), min_size=n, max_size=n))
        found.labels[hemisphere, roi_class] = np.array(drawn, draw(st.sampled_from(NUMBERS)))
        for name in dict.fromkeys((*usual, *names)):
            where = {
                column for column, label in enumerate(drawn) if label and mapping[label] == name
            }
            found.regions[hemisphere, roi_class, name] = where


def _draw(file: Path, number: int) -> None:
    colour = (37 * number % 256, 91 * number % 256, number)
    how: dict[str, Any] = {"lossless": True} if file.suffix == ".webp" else {"quality": 100}
    Image.new("RGB", (4, 4), colour).save(file, FORMATS.get(file.suffix.lower()), **how)


def _save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, values, allow_pickle=True)
