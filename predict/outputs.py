"""Predictions of pictures as files: written as they are computed, resumed and never repeated."""

import csv
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import choose_from, plural, provenance, read_json, replacing, say
from cache import Entry, FeatureStore
from cache.feature_writer import FeatureWriter
from challenge import find_subjects
from evaluate import save_surface
from evaluate.fits.runs import find_runs
from evaluate.maps.surface_files import FORMATS
from predict.choice import EncoderChoice
from predict.combination import load_combination
from predict.encoder import CHUNK, make_reader
from predict.errors import PredictError
from predict.features import FeatureReader
from predict.novelty import UNLIKE
from predict.packs.pack import is_pack, open_pack
from predict.pictures import ARCHIVES, Source, open_source
from predict.readout import Readout
from predict.stream import PictureStream

# Room on the disk for a file of vertices: its shards, and the file that they are merged into.
COPIES = 2
N_LISTED = 5
MAX_MAPS = 200
MANIFEST = "manifest.json"


@dataclass
class Output:
    """Files of one encoder: means of ROIs with novelty, and all vertices."""

    readout: Readout
    rois: list[int] | None
    store: FeatureStore
    dtype: str  # of the vertices; "none" for no file of them
    writers: dict[str, FeatureWriter] = field(default_factory=dict)
    stored: dict[str, set[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the files."""
        return f"subj{self.readout.subject}"

    @property
    def columns(self) -> list[str]:
        """The columns of the table after `picture`."""
        names = self.readout.roi_names
        names = names if self.rois is None else tuple(names[n] for n in self.rois)
        spreads = [f"{name}_spread" for name in names] if self.readout.has_spread else []
        novelty = ["novelty", "distance"] if self.readout.has_novelty else []
        return [*names, *spreads, *novelty]

    def key(self, kind: str) -> dict[str, Any]:
        """Return the key of a file, which changes with the numbers."""
        key = {"schema": 1, "prediction": kind, "encoder": self.readout.meta["digest"]}
        return {**key, "columns": self.columns if kind == "rois" else self.dtype}

    def entry(self, kind: str = "rois") -> Entry:
        """Return the file of a kind, once it is written."""
        entries = self.store.entries_named(self.file_name(kind))
        return next(entry for entry in entries if entry.meta["key"] == self.key(kind))

    @property
    def kinds(self) -> list[str]:
        """The kinds of files."""
        return ["rois", *([] if self.dtype == "none" else ["vertices"])]

    def file_name(self, kind: str) -> str:
        """Return the name of a file without the digest of its key."""
        return self.name if kind == "rois" else f"{self.name}_vertices"

    def open(self, stack: ExitStack) -> None:
        """Open the files, and find the pictures that they have."""
        details = {"origin": f"predicted by {self.readout.meta['digest']}"}
        details |= {"provenance": provenance()}  # type: ignore[dict-item]
        for kind in self.kinds:
            writer = self.store.writer(self.file_name(kind), self.key(kind), details)
            self.writers[kind] = stack.enter_context(writer)
            self.stored[kind] = writer.stored_digests()

    def lacks(self, name: str) -> bool:
        """Return whether a picture lacks a prediction, by its sha256."""
        return any(name not in stored for stored in self.stored.values())

    def add(self, names: Sequence[str], rows: dict[str, NDArray[Any]]) -> None:
        """Predict and write pictures from the rows of their features."""
        for kind, writer in self.writers.items():
            new = [n for n, name in enumerate(names) if name not in self.stored[kind]]
            if not new:
                continue
            part = {name: values[new] for name, values in rows.items()}
            writer.add([names[n] for n in new], self._predict(kind, part))
            self.stored[kind].update(names[n] for n in new)

    def _predict(self, kind: str, rows: dict[str, NDArray[Any]]) -> NDArray[Any]:
        if kind == "vertices":
            vertices = self.readout.vertices(rows)
            # A vertex without a fit has no prediction; files of rows hold finite numbers alone.
            return np.nan_to_num(vertices, copy=False).astype(self.dtype, copy=False)
        parts = [self.readout.roi_means(rows, self.rois)]
        if self.readout.has_spread:
            parts.append(self.readout.roi_spreads(rows, self.rois))
        if self.readout.has_novelty:
            parts.append(self.readout.distances(rows))
        return np.concatenate(parts, axis=1)


def predict_images(
    images: Path,
    choice: EncoderChoice,
    regions: list[str] | None,
    kinds: tuple[str, list[str]],
    name: str,
    skip_damaged: bool,
) -> Path:
    """Predict all pictures of a source; see `python -m predict images`."""
    dtype, formats = kinds
    source = open_source(images)
    _check_formats(formats, dtype, source)
    say(describe_source(source))
    folder = choose_folder(choice.out / "predictions", name, images)
    readouts, reader = load_readouts(choice)
    store = FeatureStore(folder)
    rois: Sequence[list[int] | None] = [None] * len(readouts)
    if regions is not None:
        rois = select_rois(readouts, regions)
    pairs = zip(readouts, rois, strict=True)
    outputs = [Output(readout, numbers, store, dtype) for readout, numbers in pairs]
    _check_room(source, outputs, folder)
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    faults: list[str] = []
    n_predicted = 0
    with ExitStack() as stack:
        for output in outputs:
            output.open(stack)

        def is_needed(digest: str) -> bool:
            return any(output.lacks(digest) for output in outputs)

        stream = PictureStream(source, reader, is_needed, skip_damaged)
        for chunk in stream.chunks("predicting"):
            names |= chunk.names
            faults += chunk.faults
            n_predicted += len(chunk.digests)
            if chunk.digests:
                for output in outputs:
                    output.add(chunk.digests, chunk.rows)
    if not names:
        raise PredictError(f"{source.path}: none of its pictures can be decoded")
    for output in outputs:
        _write_table(folder / f"{output.name}.csv", output, names)
        if formats:
            _save_maps(folder / output.name, output, names, formats)
    _write_manifest(folder / MANIFEST, source, outputs, faults)
    _report(folder, outputs, names, faults, n_predicted)
    return folder


def _check_formats(formats: Sequence[str], dtype: str, source: Source) -> None:
    if unknown := [name for name in formats if name not in FORMATS]:
        raise PredictError(f"--format: found {unknown[0]!r}: {choose_from(unknown[0], FORMATS)}")
    if formats and dtype == "none":
        raise PredictError("--format: maps have all vertices: add --vertices float32")
    if formats and len(source.names) > MAX_MAPS:
        raise PredictError(
            f"--format: {plural(len(source.names), 'picture')}, expected at most {MAX_MAPS} maps: "
            "read the file of vertices, and save maps of some with roiridge.save_surface"
        )


def _save_maps(stem: Path, output: Output, names: dict[str, str], formats: Sequence[str]) -> None:
    """Save the vertices of all pictures as maps on fsaverage."""
    rows = output.store.read(output.entry("vertices"), list(names.values()))
    rows[:, ~output.readout.is_covered] = np.nan
    save_surface(output.readout.to_surface(rows), stem, formats)


def choose_folder(parent: Path, name: str, images: Path, suffix: str = "") -> Path:
    """Return the folder of results by name, or by the name of the source; none of another source.

    Raises
    ------
    PredictError
        If the name is not one of a folder, or the folder holds results of other pictures.
    """
    if name and not re.fullmatch(r"\w[\w.+-]*", name):
        raise PredictError(
            f"--name {name!r}: expected letters, digits, '_', '.', '+' or '-', for a folder in "
            f"{parent}"
        )
    stem = images.resolve().name
    if images.is_file():
        endings = (*ARCHIVES, images.suffix)
        length = max(len(e) for e in endings if stem.lower().endswith(e.lower()))
        stem = stem[: len(stem) - length]
    folder = parent / (name or re.sub(r"[^\w.+-]", "_", stem).lstrip(".") + suffix)
    manifest = folder / MANIFEST
    if manifest.is_file():
        previous = read_json(manifest).get("images")
        if previous != str(images.resolve()):
            raise PredictError(
                f"{folder}: holds results for {previous}: give those of {images} a --name"
            )
    return folder


def select_rois(readouts: Sequence[Readout], names: Sequence[str]) -> list[list[int]]:
    """Return the numbers of ROIs in each readout, by name."""
    numbers: list[list[int]] = []
    faults: list[PredictError] = []
    subjects = []
    for readout in readouts:
        try:
            numbers.append(readout.select_rois(names))
            subjects.append(readout.subject)
        except PredictError as error:
            faults.append(error)
    if faults and subjects:
        hint = f"subjects that have them all: --subject {' '.join(subjects)}"
        raise PredictError(f"{faults[0]}; {hint}")
    if faults:
        raise faults[0]
    return numbers


def describe_source(source: Source) -> str:
    """Return the number of pictures of a source, and of files that were left out."""
    rest = f", {plural(source.n_left_out, 'other file')} left out" if source.n_left_out else ""
    return f"{source.path}: {plural(len(source.names), 'picture')}{rest}"


def load_readouts(choice: EncoderChoice) -> tuple[list[Readout], FeatureReader]:
    """Load the readouts of the chosen subjects, and the reader of their features."""
    out, data, fits, subject = choice.out, choice.data, choice.fits, choice.subject
    pack = fits[0] if fits and len(fits) == 1 and is_pack(fits[0]) else None
    if pack is not None:
        numbers = [None] if subject == "all" else subject_numbers(subject)
        combinations = [part for number in numbers for part in open_pack(pack, number)]
    else:
        subjects = fitted_subjects(out, data, subject, fits)
        combinations = [
            load_combination(out, data, name, fits, choice.ensemble) for name in subjects
        ]
    reader = make_reader(out, combinations, choice.weights, choice.device)
    return [Readout(combination) for combination in combinations], reader


def fitted_subjects(out: Path, data: Path, subject: Any, fits: Sequence[str] | None) -> list[str]:
    """Return the numbers of the chosen subjects that have fits."""
    fitted = {name for run in find_runs(out, fits) for name in run.subjects}
    if subject == "all":
        return sorted(fitted)
    names = subject_numbers(subject)
    if unknown := sorted(set(names) - fitted):
        # Names a subject that the data lack, too.
        find_subjects(data, subject)
        raise PredictError(
            f"--subject: no fits of {', '.join(unknown)}; there are fits of "
            f"{', '.join(sorted(fitted))}"
        )
    return names


def subject_numbers(subject: Any) -> list[str]:
    """Return the numbers of subjects, such as "01", from a word, number or sequence of them."""
    items = [subject] if isinstance(subject, str | int) else subject
    words = [word for item in items for word in str(item).split()]
    return list(dict.fromkeys(f"{word:0>2}" for word in words))


def _check_room(source: Source, outputs: Sequence[Output], folder: Path) -> None:
    """Print the size of the files of vertices; raise if the disk has no room for them."""
    n_bytes = sum(
        len(source.names) * output.readout.n_vertices * np.dtype(output.dtype).itemsize
        for output in outputs
        if output.dtype != "none"
    )
    if not n_bytes:
        return
    parent = next(p for p in (folder, *folder.parents) if p.is_dir())
    free = shutil.disk_usage(parent).free
    say(f"all vertices: up to {n_bytes / 1e9:.2f} GB in {folder}, {free / 1e9:.1f} GB are free")
    if COPIES * n_bytes > free:
        raise PredictError(
            f"{parent}: {free / 1e9:.2f} GB are free, and {COPIES * n_bytes / 1e9:.2f} GB are "
            f"needed while {plural(len(source.names), 'picture')} are written: choose --vertices "
            "float16 or none, fewer pictures, or another --out"
        )


def _write_table(path: Path, output: Output, names: dict[str, str]) -> None:
    """Write the predictions of the pictures of this source, a block in memory at a time."""
    digests = list(names.values())
    # Names of files need not be text.
    options: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with replacing(path) as temporary, temporary.open("w", **options) as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *output.columns])
        for start in range(0, len(digests), CHUNK):
            part = slice(start, start + CHUNK)
            rows = output.store.read(output.entry(), digests[part])
            for picture, row in zip(list(names)[part], rows.tolist(), strict=True):
                writer.writerow([picture, *(f"{value:.6g}" for value in row)])


def _write_manifest(
    path: Path, source: Source, outputs: Sequence[Output], faults: Sequence[str]
) -> None:
    encoders = {
        output.name: {
            "encoder": output.readout.meta["digest"],
            "fits": [run["title"] for run in output.readout.meta["runs"]],
            "rule": output.readout.meta["rule"],
            "spaces": output.readout.meta["spaces"],
            "simulated": output.readout.simulated,
            "untrained": list(output.readout.untrained),
            "columns": output.columns,
            "n_vertices": output.readout.meta["n_vertices"],
            "files": [
                output.store.path(output.file_name(kind), output.key(kind)).name
                for kind in output.kinds
            ],
        }
        for output in outputs
    }
    about = {
        "kind": "predictions",
        "schema": 1,
        "images": str(source.path.resolve()),
        "n_pictures": len(source.names),
        "damaged": list(faults),
        "encoders": encoders,
        "provenance": provenance(),
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _report(
    folder: Path,
    outputs: Sequence[Output],
    names: dict[str, str],
    faults: Sequence[str],
    n_predicted: int,
) -> None:
    for fault in faults[:N_LISTED]:
        say(f"left out: {fault}")
    if len(faults) > N_LISTED:
        say(f"left out: {len(faults) - N_LISTED} more, named in {folder / MANIFEST}")
    for output in outputs:
        readout = output.readout
        notes = [
            *(["responses SIMULATED"] if readout.simulated else []),
            *([f"random weights: {', '.join(readout.untrained)}"] if readout.untrained else []),
        ]
        label = f"subject {readout.subject}" + (f" ({'; '.join(notes)})" if notes else "")
        say(f"{label}: {plural(len(names), 'picture')} -> {folder / output.name}.csv")
        _report_novelty(output, names)
    n_before = len(set(names.values())) - n_predicted
    say(f"{plural(n_predicted, 'picture')} predicted now, {n_before} before")


def _report_novelty(output: Output, names: dict[str, str]) -> None:
    if not output.readout.has_novelty:
        say("no novelty: the features of the training pictures are not in the cache")
        return
    novelty = output.store.read(output.entry(), list(names.values()))[
        :, output.columns.index("novelty")
    ]
    n_unlike = int((novelty > UNLIKE).sum())
    if n_unlike:
        say(
            f"WARNING: farther from the training pictures than {UNLIKE:g} % of the held-out ones: "
            f"{n_unlike} of {plural(len(names), 'picture')}; the prediction may not hold there"
        )
