"""Check the stimuli: decode every picture, and compare it with all others."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from base import progress, sha256_files
from challenge.checks.findings import Findings
from challenge.layout import pictures_folder
from challenge.leakage import shared_contents
from challenge.pictures.decoding import load_rgb, nsd_id
from challenge.pictures.listing import scan_pictures
from challenge.subject import Subject

_N_NAMED = 5  # files of one fault


@dataclass(frozen=True)
class Stimulus:
    """A picture that can be decoded, with the sha256 of its file and the NSD id in its name."""

    path: Path
    digest: str
    nsd_id: int | None


@dataclass(frozen=True)
class Stimuli:
    """The pictures of one split.

    Attributes
    ----------
    decoded : list of Stimulus
        The pictures that can be decoded, in the order of their rows.
    n_images : int, optional
        The number of rows of the responses; None if the names of the pictures are faulty.
    """

    decoded: list[Stimulus]
    n_images: int | None


def check_pictures(
    subject: Subject, splits: Sequence[str], findings: Findings
) -> dict[str, Stimuli]:
    """Decode the pictures of a subject, and check that none is in both splits or twice in one."""
    sizes: dict[tuple[int, int], list[Path]] = defaultdict(list)
    stimuli = {split: _check_split(subject, split, sizes, findings) for split in splits}
    _check_sizes(sizes, findings)
    decoded = [stimulus for split in stimuli.values() for stimulus in split.decoded]
    _check_ids(decoded, findings)
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
    listing = findings.attempt(partial(scan_pictures, folder, split))
    if listing is None:
        return Stimuli([], None)
    findings.add_fault("\n".join(listing.faults))
    if listing.left_out:
        names = ", ".join(file.name for file in listing.left_out[:_N_NAMED])
        remainder = f" and {len(listing.left_out) - _N_NAMED} more" * (
            len(listing.left_out) > _N_NAMED
        )
        findings.add_remark(
            f"{folder}: no pictures by their suffixes, left out: {names}{remainder}"
        )
    readable = []
    desc = f"subject {subject.name}, {split} pictures"
    for picture in progress(listing.pictures, desc=desc, unit="picture"):
        image = findings.attempt(partial(load_rgb, picture))
        if image is not None:
            sizes[image.size].append(picture)
            readable.append(picture)
    digests = sha256_files(readable)
    _check_duplicates(readable, digests, findings)
    decoded = [
        Stimulus(path, digest, findings.attempt(partial(nsd_id, path)))
        for path, digest in zip(readable, digests, strict=True)
    ]
    return Stimuli(decoded, None if listing.faults else len(listing.pictures))


def _check_sizes(sizes: dict[tuple[int, int], list[Path]], findings: Findings) -> None:
    # The most frequent size is the expected one.
    expected_size = max(sizes, key=lambda size: len(sizes[size]), default=(0, 0))
    for size, (first, *files) in sizes.items():
        if size == expected_size:
            continue
        names = "".join(f", {file.name}" for file in files[:_N_NAMED])
        remainder = f" and {len(files) - _N_NAMED} more" if len(files) > _N_NAMED else ""
        findings.add_fault(
            f"{first}{names}{remainder}: {size[0]} x {size[1]} pixels, expected {expected_size[0]} "
            f"x {expected_size[1]} as {len(sizes[expected_size])} others have: copy again"
        )


def _check_ids(stimuli: Iterable[Stimulus], findings: Findings) -> None:
    first: dict[int, Path] = {}
    for stimulus in stimuli:
        if stimulus.nsd_id is None:
            continue
        earlier = first.setdefault(stimulus.nsd_id, stimulus.path)
        if earlier is not stimulus.path:
            findings.add_fault(
                f"{stimulus.path}: the same NSD id as {earlier.name}, expected each picture once "
                "and no test picture in training: remove one, and its row of responses"
            )


def _check_duplicates(pictures: Sequence[Path], digests: Sequence[str], findings: Findings) -> None:
    # A picture may be there twice, under different names.
    first: dict[str, Path] = {}
    for digest, picture in zip(digests, pictures, strict=True):
        earlier = first.setdefault(digest, picture)
        if earlier is not picture:
            findings.add_fault(
                f"{picture}: the same contents as {earlier.name}, expected different pictures: one "
                "of them was overwritten, copy both again"
            )
