"""Check the stimuli: decode every picture, and compare it with all others."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from base import progress, sha256_files
from challenge.errors import Findings
from challenge.layout import pictures_folder
from challenge.leakage import shared_contents
from challenge.pictures.decoding import load_rgb
from challenge.pictures.listing import first_names, nsd_id, scan_pictures
from challenge.subject import Subject


@dataclass(frozen=True)
class Stimulus:
    """A picture that can be decoded, with the sha256 of its file and the NSD id in its name."""

    path: Path
    digest: str
    nsd_id: int | None


@dataclass(frozen=True)
class Stimuli:
    """The pictures of one split."""

    decoded: list[Stimulus]  # those that can be decoded, in the order of their rows
    n_images: int | None  # the rows of the responses; None if names of pictures are faulty


def check_pictures(
    subject: Subject, splits: Sequence[str], findings: Findings
) -> dict[str, Stimuli]:
    """Decode the pictures of a subject, and check that none is in both splits or twice in one."""
    sizes: dict[tuple[int, int], list[Path]] = defaultdict(list)
    stimuli = {split: _check_split(subject, split, sizes, findings) for split in splits}
    _check_sizes(sizes, findings)
    decoded = [stimulus for split in stimuli.values() for stimulus in split.decoded]
    for picture, earlier in _repeats((s.nsd_id, s.path) for s in decoded if s.nsd_id is not None):
        findings.add_fault(
            f"{picture}: the same NSD id as {earlier.name}, expected each picture once and no test "
            "picture in training: remove one, and its row of responses"
        )
    if {"train", "test"} <= stimuli.keys():
        parts = ([(s.digest, s.path) for s in stimuli[k].decoded] for k in ("train", "test"))
        for picture, training in shared_contents(*parts):
            findings.add_fault(
                f"{picture}: the same contents as the training picture {training.name}, expected "
                "no test picture in training, since its score is not that of a new picture: copy "
                "both again, or remove the training picture and its row of responses"
            )
    return stimuli


def check_shared(stimuli: Iterable[Stimuli], findings: Findings) -> None:
    """Check that one NSD id is the same picture for all subjects."""
    holders: dict[int, dict[str, Path]] = defaultdict(dict)
    for split in stimuli:
        for stimulus in split.decoded:
            if stimulus.nsd_id is not None:
                holders[stimulus.nsd_id].setdefault(stimulus.digest, stimulus.path)
    for number, paths in holders.items():
        first, *different = paths.values()
        for path in different:
            findings.add_fault(
                f"{path}: not the same contents as {first}, expected the same picture for the "
                f"NSD id {number}: copy both again"
            )


def _check_split(
    subject: Subject, split: str, sizes: dict[tuple[int, int], list[Path]], findings: Findings
) -> Stimuli:
    folder = pictures_folder(subject.folder, split)
    listing = findings.attempt(scan_pictures, folder, split)
    if listing is None:
        return Stimuli([], None)
    findings.add_fault("\n".join(listing.faults))
    if listing.left_out:
        names = first_names(listing.left_out)
        findings.add_remark(f"{folder}: no pictures by their suffixes, left out: {names}")
    readable = []
    desc = f"subject {subject.name}, {split} pictures"
    for picture in progress(listing.pictures, desc=desc, unit="picture"):
        image = findings.attempt(load_rgb, picture)
        if image is not None:
            sizes[image.size].append(picture)
            readable.append(picture)
    digests = sha256_files(readable)
    # A picture may be there twice, under different names.
    for picture, earlier in _repeats(zip(digests, readable, strict=True)):
        findings.add_fault(
            f"{picture}: the same contents as {earlier.name}, expected different pictures: one of "
            "them was overwritten, copy both again"
        )
    decoded = [
        Stimulus(path, digest, findings.attempt(nsd_id, path))
        for path, digest in zip(readable, digests, strict=True)
    ]
    return Stimuli(decoded, None if listing.faults else len(listing.pictures))


def _check_sizes(sizes: dict[tuple[int, int], list[Path]], findings: Findings) -> None:
    # The most frequent size is the expected one.
    expected_size = max(sizes, key=lambda size: len(sizes[size]), default=(0, 0))
    for size, (first, *files) in sizes.items():
        if size == expected_size:
            continue
        names = f"{first}, {first_names(files)}" if files else str(first)
        findings.add_fault(
            f"{names}: {size[0]} x {size[1]} pixels, expected {expected_size[0]} x "
            f"{expected_size[1]} as {len(sizes[expected_size])} others have: copy again"
        )


def _repeats(pictures: Iterable[tuple[Hashable, Path]]) -> Iterator[tuple[Path, Path]]:
    """Yield each picture whose id or digest an earlier one has, with the first of these."""
    first: dict[Hashable, Path] = {}
    for identity, picture in pictures:
        earlier = first.setdefault(identity, picture)
        if earlier is not picture:
            yield picture, earlier
