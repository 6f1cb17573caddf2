"""Check the stimuli: every picture is decoded, and compared with all others."""

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

_NAMED = 5  # files of one fault


@dataclass(frozen=True)
class Stimulus:
    """A picture that can be decoded.

    Attributes
    ----------
    path : Path
        The file.
    digest : str
        The sha256 of its contents.
    nsd_id : int, optional
        Its place among NSD's pictures; None where its name does not say.
    """

    path: Path
    digest: str
    nsd_id: int | None


@dataclass(frozen=True)
class Stimuli:
    """The pictures of one split.

    Attributes
    ----------
    decoded : list of Stimulus
        Those that can be decoded, in the order of their rows.
    n_images : int, optional
        The number of rows of the responses; None where the names leave that open.
    """

    decoded: list[Stimulus]
    n_images: int | None


def check_pictures(
    subject: Subject, splits: Sequence[str], findings: Findings
) -> dict[str, Stimuli]:
    """Decode the pictures of a subject and check that each stands once, in its own split."""
    sizes: dict[tuple[int, int], list[Path]] = defaultdict(list)
    stimuli = {split: _check_split(subject, split, sizes, findings) for split in splits}
    _check_sizes(sizes, findings)
    decoded = [one for split in stimuli.values() for one in split.decoded]
    _check_ids(decoded, findings)
    if {"train", "test"} <= stimuli.keys():
        parts = ([(s.digest, s.path) for s in stimuli[k].decoded] for k in ("train", "test"))
        for picture, training in shared_contents(*parts):
            findings.add_fault(
                f"{picture}: the same contents as the training picture {training.name}, expected "
                "no test picture in training, where scores say nothing of new pictures: copy both "
                "again, or take the training picture out with its row of responses"
            )
    return stimuli


def check_shared(stimuli: Iterable[Stimuli], findings: Findings) -> None:
    """Check that one NSD id is the same picture for all subjects."""
    holders: dict[int, dict[str, Path]] = defaultdict(dict)
    for split in stimuli:
        for one in split.decoded:
            if one.nsd_id is not None:
                holders[one.nsd_id].setdefault(one.digest, one.path)
    for number, held in holders.items():
        first, *others = held.values()
        for other in others:
            findings.add_fault(
                f"{other}: not the same contents as {first}, expected the same picture for the "
                f"NSD id {number}: copy both again"
            )


def _check_split(
    subject: Subject,
    split: str,
    sizes: dict[tuple[int, int], list[Path]],
    findings: Findings,
) -> Stimuli:
    folder = pictures_folder(subject.folder, split)
    listing = findings.attempt(partial(scan_pictures, folder, split))
    if listing is None:
        return Stimuli([], None)
    findings.add_fault("\n".join(listing.faults))
    if listing.left_out:
        named = ", ".join(file.name for file in listing.left_out[:_NAMED])
        more = f" and {len(listing.left_out) - _NAMED} more" * (len(listing.left_out) > _NAMED)
        findings.add_remark(f"{folder}: no pictures by their suffixes, left out: {named}{more}")
    readable = []
    desc = f"subject {subject.name}, {split} pictures"
    for picture in progress(listing.pictures, desc=desc, unit="picture"):
        image = findings.attempt(partial(load_rgb, picture))
        if image is not None:
            sizes[image.size].append(picture)
            readable.append(picture)
    digests = sha256_files(readable)
    _check_twins(readable, digests, findings)
    decoded = [
        Stimulus(path, digest, findings.attempt(partial(nsd_id, path)))
        for path, digest in zip(readable, digests, strict=True)
    ]
    return Stimuli(decoded, None if listing.faults else len(listing.pictures))


def _check_sizes(sizes: dict[tuple[int, int], list[Path]], findings: Findings) -> None:
    # The first picture may be the odd one: what most of them have is what is expected.
    usual = max(sizes, key=lambda size: len(sizes[size]), default=(0, 0))
    for size, (first, *others) in sizes.items():
        if size == usual:
            continue
        named = "".join(f", {other.name}" for other in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        findings.add_fault(
            f"{first}{named}{more}: {size[0]} x {size[1]} pixels, expected {usual[0]} x {usual[1]} "
            f"as {len(sizes[usual])} others have: copy again"
        )


def _check_ids(stimuli: Iterable[Stimulus], findings: Findings) -> None:
    first: dict[int, Path] = {}
    for one in stimuli:
        if one.nsd_id is None:
            continue
        other = first.setdefault(one.nsd_id, one.path)
        if other is not one.path:
            findings.add_fault(
                f"{one.path}: the same NSD id as {other.name}, expected each picture once and "
                "no test picture in training: remove one, and its row of responses"
            )


def _check_twins(pictures: Sequence[Path], digests: Sequence[str], findings: Findings) -> None:
    # A picture may stand twice, under different names.
    first: dict[str, Path] = {}
    for digest, picture in zip(digests, pictures, strict=True):
        twin = first.setdefault(digest, picture)
        if twin is not picture:
            findings.add_fault(
                f"{picture}: the same contents as {twin.name}, expected different pictures: one of "
                "them was overwritten, copy both again"
            )
