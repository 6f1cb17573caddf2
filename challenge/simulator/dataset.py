"""Simulate a dataset with the challenge's layout and a known ground truth.

Pictures are crops of real photographs. Early regions respond to Gabor energy in each vertex'
receptive field, category regions to the objects in the picture, through a random rectified layer,
and intermediate regions to both. So no network's features predict any vertex perfectly, and the
noise ceiling, the tuning and the noise-free signal of every vertex are known.
"""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np

from base import DocumentError, convert_paths, plural, progress, provenance, read_json, say
from challenge.errors import DataError
from challenge.layout import HEMISPHERES, N_FSAVERAGE, N_NSD, ROI_CLASSES, SIMULATION
from challenge.simulator.photographs import Source, find_photographs
from challenge.simulator.stimuli import draw_pictures, make_pictures
from challenge.simulator.subject_files import write_subject
from challenge.simulator.surface_patch import draw_patches
from challenge.simulator.tuning import Stimuli, hidden_layer, shared_readouts

_VERSION = 2
_RIGHT_TO_LEFT = 20544 / 19004  # vertices of subject 1
_MAX_SUBJECTS = 99
_MIN_VERTICES = 20


@dataclass(frozen=True)
class _Settings:
    """The settings that determine the files."""

    subjects: int
    train_images: int
    test_images: int
    vertices: tuple[int, int]
    seed: int
    picture_size: int

    def check(self) -> None:
        """Check that all settings are in range, before anything is written."""
        limits = {
            "subjects": (self.subjects, 1, _MAX_SUBJECTS),
            "train-images": (self.train_images, 10, N_NSD),
            "test-images": (self.test_images, 5, N_NSD),
            "vertices": (min(self.vertices), _MIN_VERTICES, N_FSAVERAGE),
            "vertices, right hemisphere": (max(self.vertices), _MIN_VERTICES, N_FSAVERAGE),
            "seed": (self.seed, 0, 2**63),
            "picture-size": (self.picture_size, 16, 2048),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise DataError(f"--{name}: found {value}, expected {low} to {high}")

    @property
    def n_bytes(self) -> int:
        """An approximate upper bound on the size of the dataset on disk."""
        images = self.train_images + self.test_images
        pictures = 3 * self.picture_size**2
        maps = len(HEMISPHERES) * (1 + len(ROI_CLASSES)) * 4 * N_FSAVERAGE
        return self.subjects * (images * (pictures + 2 * 4 * sum(self.vertices)) + maps)


@convert_paths
def simulate(
    directory: Path,
    subjects: int = 2,
    train_images: int = 300,
    test_images: int = 60,
    vertices: int | list[int] = 400,
    seed: int = 0,
    photos: str = "auto",
    picture_size: int = 425,
) -> None:
    """Write a simulated dataset, unless the folder already holds the same one.

    Parameters
    ----------
    directory : Path
        The folder to create; it appears when all files are written. It is never overwritten; if it
        holds the same simulation already, nothing is done.
    subjects : int
        Number of subjects; with two or more, the last lacks a few vertices.
    train_images : int
        Number of training pictures of each subject; some are shared between subjects.
    test_images : int
        Number of test pictures of each subject; none is a training picture of any subject.
    vertices : int or list of int
        Number of vertices of the left hemisphere, the right having 8 % more; or "[left,right]".
    seed : int
        Seed of the simulation; the same seed and settings give the same files, byte for byte.
    photos : str
        builtin (photographs of scikit-image and scikit-learn), auto (with the cut-outs of
        tuxpaint-stamps-default where it is installed) or a folder of PNG and JPEG files, each
        subfolder a category.
    picture_size : int
        Width and height of the pictures, pixels.

    Raises
    ------
    DataError
        If a setting is out of range, the folder holds something else, or the disk is too small.

    Examples
    --------
    >>> simulate("small", 1, train_images=10, test_images=5, vertices=20, picture_size=16)
    pictures are made from: ...
    small: 1 simulated subject written
    ...
    """
    directory = Path(directory)
    settings = _Settings(
        subjects, train_images, test_images, _vertex_counts(vertices), seed, picture_size
    )  # fmt: skip
    settings.check()
    source = find_photographs(photos)
    description = {
        "version": _VERSION,
        "settings": {**asdict(settings), "vertices": list(settings.vertices)},
        "photographs": source.describe(),
    }
    if _is_simulated(directory, description):
        say(f"{directory}: this simulation is there already, nothing to do")
        say(source.caution)
        return
    say(f"pictures are made from: {source.name} ({len(source.materials)} files)")
    with _publishing(directory, settings.n_bytes) as folder:
        _write(folder, settings, source)
        record = {**description, "caution": source.caution, "provenance": provenance()}
        (folder / SIMULATION).write_text(json.dumps(record, indent=2) + "\n")
    say(f"{directory}: {plural(subjects, 'simulated subject')} written")
    say(source.caution)


@contextmanager
def _publishing(directory: Path, n_bytes: int) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `directory` on success and else removed."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fix = "free some space, or choose another folder, or fewer images, vertices or subjects"
    free = shutil.disk_usage(directory.parent).free
    if free < n_bytes:
        raise DataError(
            f"{directory.parent}: {_format_bytes(free)} free, expected {_format_bytes(n_bytes)} "
            f"for the simulation: {fix}"
        )
    # A hidden folder next to the final one, so that the rename below is atomic.
    temporary = directory.resolve().with_name(f".{directory.resolve().name}-{uuid4().hex[:8]}")
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(directory)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # The usual message is wrong here: this command keeps nothing of its unfinished work.
        raise DataError(
            f"{directory}: the disk is full, expected {_format_bytes(n_bytes)} for the simulation; "
            f"nothing was written: {fix}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _format_bytes(n_bytes: int) -> str:
    power = next((p for p in (3, 2, 1) if n_bytes >= 1000**p), 0)
    return f"{n_bytes / 1000**power:.{1 if power else 0}f} {('bytes', 'kB', 'MB', 'GB')[power]}"


def _vertex_counts(vertices: int | list[int]) -> tuple[int, int]:
    if isinstance(vertices, int):
        return vertices, round(vertices * _RIGHT_TO_LEFT)
    if len(vertices) != 2:
        raise DataError(
            f"--vertices: found {vertices}, expected a number or two such as [19004,20544]"
        )
    return vertices[0], vertices[1]


def _is_simulated(directory: Path, description: dict[str, object]) -> bool:
    # A folder with other files is never overwritten.
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    try:
        record = read_json(directory / SIMULATION)
    except (OSError, DocumentError):
        raise DataError(
            f"{directory}: holds other files than a simulation, and is not overwritten; give "
            "another folder, or remove it"
        ) from None
    different = [key for key, value in description.items() if record.get(key) != value]
    if different:
        raise DataError(
            f"{directory}: holds a simulation with other {' and '.join(different)} "
            f"({record.get(different[0])}, expected {description[different[0]]}), and is not "
            "overwritten; give another folder, or remove it"
        )
    return True


def _write(folder: Path, settings: _Settings, source: Source) -> None:
    # The order of these generators must not change, or a seed would give other files.
    id_rng, picture_rng, brain_rng, subject_rng = np.random.default_rng(settings.seed).spawn(4)
    picture_ids = draw_pictures(
        settings.subjects, settings.train_images, settings.test_images, id_rng
    )
    ids = np.unique(np.concatenate([part for subject in picture_ids for part in subject.values()]))
    energy, statistics, meaning = make_pictures(
        folder, picture_ids, ids, settings.picture_size, source, picture_rng
    )
    stimuli = Stimuli(energy, hidden_layer(meaning, statistics, brain_rng))
    readouts = shared_readouts(brain_rng)
    patches = draw_patches(settings.vertices, brain_rng)
    generators = subject_rng.spawn(settings.subjects)
    columns = settings.subjects * sum(settings.vertices)
    with progress(total=columns, desc="simulating responses", unit="vertex") as bar:
        for number, (subject, rng) in enumerate(zip(picture_ids, generators, strict=True), start=1):
            write_subject(
                folder / f"subj{number:02d}",
                stimuli.take(np.searchsorted(ids, np.concatenate([*subject.values()]))),
                settings.train_images,
                patches,
                readouts,
                rng,
                lacks_vertices=number == settings.subjects > 1,
                advance=bar.update,
            )
