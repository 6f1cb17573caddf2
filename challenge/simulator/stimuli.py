"""Draw the pictures that each simulated subject sees, and write their files."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from base import progress
from challenge.errors import DataError
from challenge.layout import N_NSD, pictures_folder
from challenge.pictures.listing import picture_name
from challenge.simulator.image_features import describe_picture
from challenge.simulator.photographs import Source
from challenge.simulator.scenes import Scenery

# Shares of pictures that all subjects see, about those of the challenge.
_SHARED = {"train": 0.1, "test": 0.3}
_MAX_TRIES = 50

PictureIds = dict[str, np.ndarray]


def draw_pictures(
    subjects: int, train_images: int, test_images: int, rng: np.random.Generator
) -> list[PictureIds]:
    """Draw the NSD ids of the pictures that each subject sees in "train" and "test", in order.

    Some pictures are seen by all subjects. No test picture is a training picture of any subject.
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
    picture_ids: list[PictureIds] = [{} for _ in range(subjects)]
    for split, size in sizes.items():
        common, ids = ids[: shared[split]], ids[shared[split] :]
        for subject in picture_ids:
            individual, ids = ids[: size - len(common)], ids[size - len(common) :]
            subject[split] = rng.permutation(np.concatenate([common, individual])).astype(np.int64)
    return picture_ids


def make_pictures(
    folder: Path,
    picture_ids: list[PictureIds],
    ids: np.ndarray,
    size: int,
    source: Source,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compose each picture, and write it to the folder of every subject that sees it.

    `ids` (n_images,) are the distinct ones in `picture_ids`, ascending. Return the Gabor energies
    (n_images, n_channels * GRID * GRID), the colour statistics (n_images, n_statistics) and the
    meaning (n_images, n_latent), weighted sums of the latent vectors of the objects.
    """
    files = _create_folders(folder, picture_ids)
    scenery = Scenery(source, rng)
    digests: set[bytes] = set()
    features = []
    for number in progress(ids.tolist(), desc="making pictures", unit="picture"):
        picture, content, meaning = _compose_unique(scenery, rng, size, digests)
        for file in files[number]:
            file.write_bytes(content)
        features.append((*describe_picture(picture), meaning))
    energy, statistics, meanings = (np.stack(part) for part in zip(*features, strict=True))
    return energy.reshape(len(ids), -1), statistics, meanings


def _create_folders(folder: Path, picture_ids: list[PictureIds]) -> dict[int, list[Path]]:
    """Return the files of each picture, and create their folders."""
    files: dict[int, list[Path]] = {}
    for number, subject in enumerate(picture_ids, start=1):
        for split, ids in subject.items():
            split_folder = pictures_folder(folder / f"subj{number:02d}", split)
            split_folder.mkdir(parents=True)
            for index, nsd_id in enumerate(ids.tolist(), start=1):
                name = picture_name(split, index, nsd_id, len(ids))
                files.setdefault(nsd_id, []).append(split_folder / name)
    return files


def _compose_unique(
    scenery: Scenery, rng: np.random.Generator, size: int, digests: set[bytes]
) -> tuple[Image.Image, bytes, np.ndarray]:
    # Dark corners of two photographs may be equal; another picture is then drawn.
    for _ in range(_MAX_TRIES):
        picture, meaning = scenery.compose(rng, size)
        digest = hashlib.sha256(picture.tobytes()).digest()
        if digest in digests:
            continue
        digests.add(digest)
        buffer = BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        return picture, buffer.getvalue(), meaning
    raise DataError(
        f"the photographs give no more than {len(digests)} different pictures of {size} pixels: "
        "give more or larger ones with --photos, or choose fewer pictures"
    )
