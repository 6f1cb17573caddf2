"""The names of the stimuli, and their order: that of the responses' rows, by indices in the names.

Sorting the names as text is not enough where indices are not padded to one width: `train-10` comes
before `train-9`.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.layout import N_NSD, PICTURE_SUFFIXES

# Any name such as train-0001_nsd-00013.png or train-1_boat.jpg gives the row. In upper or lower
# case, since disks of cameras and some archivers know only capitals.
_ROW = re.compile(r"(?P<split>train|test)-(?P<index>[0-9]+)(?![0-9]).*\.[^.]+", re.IGNORECASE)
_NSD_ID = re.compile(r"(train|test)-[0-9]+_nsd-(?P<nsd>[0-9]+)\.[^.]+", re.IGNORECASE)
_DIGITS = 4  # digits of an index in the challenge's names
_EXAMPLES = {"train": "train-0001_nsd-00013.png", "test": "test-0001_nsd-00845.png"}
_N_LISTED = 5  # names in one message


def picture_name(split: str, index: int, nsd_id: int, n_images: int = 0) -> str:
    """Return the name of a stimulus in the challenge's format.

    Indices are padded to the width of `n_images`, the number of pictures of the split, so that
    sorting the names as text sorts the indices.
    """
    width = max(_DIGITS, len(str(n_images)))
    return f"{split}-{index:0{width}d}_nsd-{nsd_id:05d}.png"


def nsd_id(picture: Path) -> int:
    """Return the NSD id in a stimulus' name."""
    match = _NSD_ID.fullmatch(picture.name)
    if match is None:
        raise DataError(
            f"{picture}: the name holds no NSD id; expected a name such as "
            "train-0001_nsd-00013.png: rename the file or take it out of the folder"
        )
    number = int(match["nsd"])
    if number >= N_NSD:
        raise DataError(
            f"{picture}: NSD id {number}, expected 0 to {N_NSD - 1} (ids count from 0): "
            "rename the file"
        )
    return number


def nsd_ids(pictures: list[Path]) -> np.ndarray:
    """Return the NSD ids in the stimuli's names, (n_images,), counting from 0."""
    return np.array([nsd_id(picture) for picture in pictures], dtype=np.int64)


@dataclass(frozen=True)
class Listing:
    """The files in a folder of stimuli."""

    pictures: list[Path]  # sorted by index, then by name; pictures without an index come last
    faults: list[str]  # in the names, because of which the rows of pictures are uncertain
    left_out: list[Path]  # files that are not pictures, by their suffixes, without hidden ones


def scan_pictures(folder: Path, split: str) -> Listing:
    """Return the stimuli of a folder, and the faults in their names."""
    if not folder.is_dir():
        raise DataError(f"{folder}: missing; expected a folder of pictures: unpack the zip again")
    # Some archivers leave hidden files such as `._train-0001_nsd-00013.png` behind.
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.is_file() and not e.name.startswith(".")]
    return arrange(folder, split, names)


def arrange(folder: Path, split: str, names: Iterable[str]) -> Listing:
    """Return the stimuli among some files, and the faults in their names."""
    files = [folder / name for name in sorted(names)]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise DataError(
            f"{folder}: holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}); "
            "unpack the subject's zip again"
        )
    left_out = [file for file in files if file.suffix.lower() not in PICTURE_SUFFIXES]
    pictures.sort(key=_sort_key)
    return Listing(pictures, list(_faults(folder, split, pictures, left_out)), left_out)


def list_pictures(folder: Path, split: str) -> list[Path]:
    """Return the stimuli of a folder in the order of the responses' rows.

    They are named such as `train-0001_nsd-00013.png`, with or without padding by zeros.
    """
    listing = scan_pictures(folder, split)
    if listing.faults:
        raise DataError("\n".join(listing.faults))
    return listing.pictures


def _sort_key(picture: Path) -> tuple[bool, int, str]:
    match = _ROW.fullmatch(picture.name)
    return match is None, int(match["index"]) if match else 0, picture.name


def _faults(
    folder: Path, split: str, pictures: Sequence[Path], left_out: Sequence[Path]
) -> Iterator[str]:
    matches = {picture: _ROW.fullmatch(picture.name) for picture in pictures}
    example = _EXAMPLES[split]
    if nameless := [picture for picture, match in matches.items() if match is None]:
        yield (
            f"{folder / first_names(nameless)}: the name holds no index, so that its row of "
            f"responses is not known; expected a name such as {example}: rename the file or "
            "take it out of the folder"
        )
    by_index: dict[int, list[Path]] = defaultdict(list)
    misplaced = []
    for picture, match in matches.items():
        if match is not None and match["split"].lower() != split:
            misplaced.append(picture)
        elif match is not None:
            by_index[int(match["index"])].append(picture)
    if misplaced:
        yield (
            f"{folder / first_names(misplaced)}: the name is of the other split, expected a name "
            f"such as {example}: move the file into its own folder"
        )
    for index, files in by_index.items():
        if len(files) > 1:
            yield (
                f"{folder / first_names(files)}: {len(files)} pictures of index {index}, expected "
                "each index once: remove all but one"
            )
    yield from _gaps(folder, split, by_index, left_out)


def _gaps(
    folder: Path, split: str, indices: dict[int, list[Path]], left_out: Sequence[Path]
) -> Iterator[str]:
    """Yield faults on indices between 1 and the last that no picture has."""
    skipped = {}
    for file in left_out:
        match = _ROW.fullmatch(file.name)
        if match is not None and match["split"].lower() == split:
            skipped[int(match["index"])] = file
    unreadable = {index: file for index, file in skipped.items() if index not in indices}
    if unreadable:
        yield (
            f"{folder / first_names(list(unreadable.values()))}: left out, as its suffix is none "
            f"of {', '.join(sorted(PICTURE_SUFFIXES))}, and no other picture has its index: "
            "convert it to PNG, or remove it together with its row of responses"
        )
    ordered = [0, *sorted({*indices, *unreadable})]
    gaps = [(a + 1, b - 1) for a, b in pairwise(ordered) if b - a > 1]
    if gaps:
        n_missing = sum(last - first + 1 for first, last in gaps)
        ranges = ", ".join(f"{a} to {b}" if b > a else str(a) for a, b in gaps[:_N_LISTED])
        remainder = " and others" if len(gaps) > _N_LISTED else ""
        yield (
            f"{folder}: {n_missing} of the indices up to {ordered[-1]} are missing "
            f"({ranges}{remainder}), expected 1 to the number of pictures, each once: copy the "
            "pictures again"
        )
    if 0 in indices:
        yield f"{folder / indices[0][0].name}: index 0, expected indices from 1: rename the files"


def first_names(files: Sequence[Path]) -> str:
    """Return the names of the first few files as text, and the number of the others."""
    names = ", ".join(file.name for file in files[:_N_LISTED])
    return names + (f" and {len(files) - _N_LISTED} more" if len(files) > _N_LISTED else "")
