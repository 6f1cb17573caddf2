"""Simulate a dataset with the challenge's layout and a known truth.

Pictures are crops of real photographs. Early regions respond to Gabor energy at each vertex' own
place; category regions to what is to be seen, through a random rectified layer; those between to
both. So no network's features predict any vertex perfectly, and the noise ceiling, the tuning and
the noise-free signal of every vertex are known.
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
_MOST_SUBJECTS = 99
_FEWEST_VERTICES = 20


@dataclass(frozen=True)
class _Settings:
    """All that determines the files."""

    subjects: int
    train_images: int
    test_images: int
    vertices: tuple[int, int]
    seed: int
    picture_size: int

    def check(self) -> None:
        """Refuse what cannot be simulated, before anything is made."""
        limits = {
            "subjects": (self.subjects, 1, _MOST_SUBJECTS),
            "train-images": (self.train_images, 10, N_NSD),
            "test-images": (self.test_images, 5, N_NSD),
            "vertices": (min(self.vertices), _FEWEST_VERTICES, N_FSAVERAGE),
            "vertices, right hemisphere": (max(self.vertices), _FEWEST_VERTICES, N_FSAVERAGE),
            "seed": (self.seed, 0, 2**63),
            "picture-size": (self.picture_size, 16, 2048),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise DataError(f"--{name}: found {value}, expected {low} to {high}")

    @property
    def n_bytes(self) -> int:
        """What the dataset may take on the disk at most, about."""
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
    """Write a simulated dataset, or nothing where the same one is there already.

    Parameters
    ----------
    directory : Path
        The folder to make; it appears when all is written. It is never overwritten.
    subjects : int
        How many subjects; from two on, the last lacks a few vertices.
    train_images : int
        Training pictures of each subject; some are shared between subjects.
    test_images : int
        Test pictures of each subject; none is a training picture of any.
    vertices : int or list of int
        Vertices of the left hemisphere, the right having 8 % more; or `[left, right]`.
    seed : int
        The same seed and settings give the same files, byte for byte.
    photos : str
        What to cut pictures from: `builtin`, the photographs of scikit-image and scikit-learn;
        `auto`, the cut-outs of tuxpaint-stamps-default on those where installed; or a folder of
        PNG and JPEG files, each subfolder a category.
    picture_size : int
        Width and height of the pictures, pixels.

    Raises
    ------
    DataError
        If a setting is out of range, the folder holds something else, or the disk is too small.
    """
    directory = Path(directory)
    settings = _Settings(
        subjects, train_images, test_images, _both(vertices), seed, picture_size
    )  # fmt: skip
    settings.check()
    source = find_photographs(photos)
    described = {
        "version": _VERSION,
        "settings": {**asdict(settings), "vertices": list(settings.vertices)},
        "photographs": source.describe(),
    }
    if _is_there(directory, described):
        say(f"{directory}: this simulation is there already, nothing to do")
        say(source.caution)
        return
    say(f"pictures are made from: {source.name} ({len(source.materials)} files)")
    with _appearing(directory, settings.n_bytes) as folder:
        _write(folder, settings, source)
        record = {**described, "caution": source.caution, "provenance": provenance()}
        (folder / SIMULATION).write_text(json.dumps(record, indent=2) + "\n")
    say(f"{directory}: {plural(subjects, 'simulated subject')} written")
    say(source.caution)


@contextmanager
def _appearing(directory: Path, n_bytes: int) -> Iterator[Path]:
    """Give a folder to write to that becomes `directory` when all is well, or is removed."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fix = "free some space, or choose another folder, or fewer images, vertices or subjects"
    free = shutil.disk_usage(directory.parent).free
    if free < n_bytes:
        raise DataError(
            f"{directory.parent}: {_in_units(free)} free, expected {_in_units(n_bytes)} for the "
            f"simulation: {fix}"
        )
    # A name that starts with a dot, beside the final one: the rename below is then atomic.
    temporary = directory.resolve().with_name(f".{directory.resolve().name}-{uuid4().hex[:8]}")
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(directory)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Said here: unlike other commands, this one keeps nothing of what it has done.
        raise DataError(
            f"{directory}: the disk is full, expected {_in_units(n_bytes)} for the simulation; "
            f"nothing was written: {fix}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _in_units(n_bytes: int) -> str:
    power = next((p for p in (3, 2, 1) if n_bytes >= 1000**p), 0)
    return f"{n_bytes / 1000**power:.{1 if power else 0}f} {('bytes', 'kB', 'MB', 'GB')[power]}"


def _both(vertices: int | list[int]) -> tuple[int, int]:
    if isinstance(vertices, int):
        return vertices, round(vertices * _RIGHT_TO_LEFT)
    if len(vertices) != 2:
        raise DataError(
            f"--vertices: found {vertices}, expected a number or two such as [19004,20544]"
        )
    return vertices[0], vertices[1]


def _is_there(directory: Path, described: dict[str, object]) -> bool:
    # Anything else in the folder is an error, not a reason to overwrite it.
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    try:
        held = read_json(directory / SIMULATION)
    except (OSError, DocumentError):
        raise DataError(
            f"{directory}: holds something that is no simulation, and is not overwritten; give "
            "another folder, or remove it"
        ) from None
    differ = [key for key, value in described.items() if held.get(key) != value]
    if differ:
        raise DataError(
            f"{directory}: holds a simulation with other {' and '.join(differ)} "
            f"({held.get(differ[0])}, expected {described[differ[0]]}), and is not overwritten; "
            "give another folder, or remove it"
        )
    return True


def _write(folder: Path, settings: _Settings, source: Source) -> None:
    # The order of these is part of what a seed means.
    for_ids, for_pictures, for_brain, for_subjects = np.random.default_rng(settings.seed).spawn(4)
    drawn = draw_pictures(settings.subjects, settings.train_images, settings.test_images, for_ids)
    ids = np.unique(np.concatenate([part for subject in drawn for part in subject.values()]))
    made = make_pictures(folder, drawn, ids, settings.picture_size, source, for_pictures)
    stimuli = Stimuli(made.energy, hidden_layer(made.meaning, made.statistics, for_brain))
    readouts = shared_readouts(for_brain)
    patches = draw_patches(settings.vertices, for_brain)
    generators = for_subjects.spawn(settings.subjects)
    columns = settings.subjects * sum(settings.vertices)
    with progress(total=columns, desc="simulating responses", unit="vertex") as bar:
        for number, (subject, rng) in enumerate(zip(drawn, generators, strict=True), start=1):
            write_subject(
                folder / f"subj{number:02d}",
                {
                    split: stimuli.take(np.searchsorted(ids, part))
                    for split, part in subject.items()
                },
                patches,
                readouts,
                rng,
                lacks_vertices=number == settings.subjects > 1,
                advance=bar.update,
            )
