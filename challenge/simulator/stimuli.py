"""Which pictures each simulated subject sees, and the making of them."""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from base import progress
from challenge.errors import DataError
from challenge.layout import N_NSD, pictures_folder
from challenge.pictures.decoding import picture_name
from challenge.simulator.image_features import describe_picture
from challenge.simulator.photographs import Source
from challenge.simulator.scenes import Scenery

# About what subjects of the challenge share: NSD showed 1,000 of its pictures to all.
_SHARED = {"train": 0.1, "test": 0.3}
_TRIES = 50

Drawn = dict[str, np.ndarray]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a simulation, as the simulated brain gets them.

    Attributes
    ----------
    energy : array (n_images, n_channels * GRID * GRID) of float32
        Gabor energies.
    statistics : array (n_images, n_statistics) of float32
        Colour statistics.
    meaning : array (n_images, n_latent) of float64
        What is to be seen.
    """

    energy: np.ndarray
    statistics: np.ndarray
    meaning: np.ndarray


def draw_pictures(
    subjects: int, train_images: int, test_images: int, rng: np.random.Generator
) -> list[Drawn]:
    """Draw the NSD ids that each subject sees.

    Returns
    -------
    list of dict of str to array of int64
        For each subject the ids of "train" and "test", in the order of their files. Some are all
        subjects', and no subject's test picture is any subject's training picture.
    """
    sizes = {"train": train_images, "test": test_images}
    shared = {split: round(_SHARED[split] * size) for split, size in sizes.items()}
    needed = sum(shared[split] + subjects * (sizes[split] - shared[split]) for split in sizes)
    if needed > N_NSD:
        raise DataError(
            f"{subjects} subjects with {train_images} + {test_images} pictures need {needed} "
            f"different ones, expected {N_NSD} at most, as many as NSD has: choose fewer"
        )
    ids = rng.permutation(N_NSD)
    drawn: list[Drawn] = [{} for _ in range(subjects)]
    for split, size in sizes.items():
        common, ids = ids[: shared[split]], ids[shared[split] :]
        for subject in drawn:
            own, ids = ids[: size - len(common)], ids[size - len(common) :]
            subject[split] = rng.permutation(np.concatenate([common, own])).astype(np.int64)
    return drawn


def make_pictures(
    folder: Path,
    drawn: list[Drawn],
    ids: np.ndarray,
    size: int,
    source: Source,
    rng: np.random.Generator,
) -> Pictures:
    """Make each picture once, and write it to every subject that sees it.

    Parameters
    ----------
    ids : array (n_images,) of int64
        All of these ids, ascending, each once.

    Returns
    -------
    Pictures
        What the simulated brain gets, in the order of `ids`.
    """
    files = _files(folder, drawn)
    scenery = Scenery(source, rng)
    seen: set[bytes] = set()
    described = []
    for number in progress(ids.tolist(), desc="making pictures", unit="picture"):
        picture, content, meaning = _distinct(scenery, rng, size, seen)
        for file in files[number]:
            file.write_bytes(content)
        described.append((*describe_picture(picture), meaning))
    energy, statistics, meanings = (np.stack(part) for part in zip(*described, strict=True))
    return Pictures(energy.reshape(len(ids), -1), statistics, meanings)


def _files(folder: Path, drawn: list[Drawn]) -> dict[int, list[Path]]:
    # Names the files of every picture, and makes their folders.
    files: dict[int, list[Path]] = {}
    for number, subject in enumerate(drawn, start=1):
        for split, ids in subject.items():
            at = pictures_folder(folder / f"subj{number:02d}", split)
            at.mkdir(parents=True)
            for index, nsd_id in enumerate(ids.tolist(), start=1):
                name = picture_name(split, index, nsd_id, len(ids))
                files.setdefault(nsd_id, []).append(at / name)
    return files


def _distinct(
    scenery: Scenery, rng: np.random.Generator, size: int, seen: set[bytes]
) -> tuple[Image.Image, bytes, np.ndarray]:
    # A dark corner of one photograph may look exactly like one of another: draw again then.
    for _ in range(_TRIES):
        picture, meaning = scenery.compose(rng, size)
        digest = hashlib.sha256(picture.tobytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        buffer = BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        return picture, buffer.getvalue(), meaning
    raise DataError(
        f"the photographs give no more than {len(seen)} different pictures of {size} pixels: give "
        "more or larger ones with --photos, or choose fewer pictures"
    )
