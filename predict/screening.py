"""Screening: the pictures that a region is predicted to like most and least; contrasts of labels.

One pass over the pictures; only the lists of the best and worst are kept, or sums per label.
"""

import base64
import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from numpy.typing import NDArray

from base import plural, provenance, replacing, say
from evaluate import save_surface
from evaluate.maps.surface_files import FORMATS
from predict.choice import EncoderChoice
from predict.errors import PredictError
from predict.outputs import (
    MANIFEST,
    choose_folder,
    describe_source,
    load_readouts,
    select_rois,
    subject_numbers,
)
from predict.pictures import Source, open_source
from predict.readout import Readout
from predict.stream import Chunk, PictureStream

SIDE = 112
TEMPLATES = Path(__file__).parent / "templates"
LISTS = {"most": "predicted to drive it most", "least": "predicted to drive it least"}


@dataclass(frozen=True)
class Contrast:
    """A contrast of names: the mean of some less the mean of others."""

    text: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Contrast":
        """Read "FFA-1 + FFA-2 - PPA"; signs stand between blanks, since names have hyphens."""
        words = ["+", *text.split()]
        signs, names = words[::2], words[1::2]
        if len(signs) != len(names) or not set(signs) <= {"+", "-"} or {"+", "-"} & set(names):
            raise PredictError(
                f"--contrast {text!r}: expected names with ' + ' or ' - ' between them, such as "
                "'FFA-1 - PPA'"
            )
        pairs = list(zip(signs, names, strict=True))
        plus, minus = (tuple(n for s, n in pairs if s == sign) for sign in "+-")
        return cls(text, plus, minus)

    def weigh(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the contrast of values by name."""
        difference = np.mean([values[name] for name in self.plus], axis=0)
        if self.minus:
            difference = difference - np.mean([values[name] for name in self.minus], axis=0)
        return np.asarray(difference)


@dataclass
class Ranking:
    """The pictures of the greatest and the least values, at most `top` of each."""

    top: int
    # For each end, (value, novelty, sha256, name, thumbnail), best first.
    ends: dict[str, list[tuple[float, float, str, str, bytes]]] = field(
        default_factory=lambda: {end: [] for end in LISTS}
    )

    def add(self, chunk: Chunk, values: NDArray[Any], novelty: NDArray[Any]) -> None:
        """Add the pictures of a chunk."""
        names = {digest: name for name, digest in reversed(chunk.names.items())}
        rows = [
            (float(value), float(new), digest, names[digest], chunk.thumbnails.get(digest, b""))
            for value, new, digest in zip(values, novelty, chunk.digests, strict=True)
        ]
        for end, sign in (("most", -1), ("least", 1)):
            unique = {row[2]: row for row in [*self.ends[end], *rows]}
            ordered = sorted(unique.values(), key=lambda row: (sign * row[0], row[3]))
            self.ends[end] = ordered[: self.top]


def screen_pictures(
    images: Path,
    choice: EncoderChoice,
    contrast: str,
    top: int,
    name: str,
    skip_damaged: bool,
) -> Path:
    """Rank the pictures of a source by a region or contrast; see `python -m predict screen`."""
    if top < 1:
        raise PredictError(f"--top {top}: expected 1 or more pictures")
    ranked = Contrast.parse(contrast)
    source = open_source(images)
    say(describe_source(source))
    folder = choose_folder(choice.out / "screening", name, images, _suffix(contrast, choice))
    readouts, reader = load_readouts(choice)
    rois = select_rois(readouts, [*ranked.plus, *ranked.minus])
    ranking, n_damaged = Ranking(top), 0
    stream = PictureStream(source, reader, lambda _: True, skip_damaged, SIDE)
    for chunk in stream.chunks("screening"):
        n_damaged += len(chunk.faults)
        if chunk.digests:
            values = [_values(r, n, ranked, chunk) for r, n in zip(readouts, rois, strict=True)]
            novelty = [r.distances(chunk.rows)[:, 0] for r in readouts if r.has_novelty]
            mean_novelty = np.mean(novelty, axis=0) if novelty else np.full(len(values[0]), np.nan)
            ranking.add(chunk, np.mean(values, axis=0), mean_novelty)
    folder.mkdir(parents=True, exist_ok=True)
    _write_ranking(folder, ranking, readouts, ranked, source)
    damaged = f", {n_damaged} damaged ones left out" if n_damaged else ""
    say(f"{plural(len(source.names), 'picture')} screened for {contrast}{damaged}")
    say(f"-> {folder / 'index.html'}, {folder / 'ranking.csv'}")
    return folder


def _suffix(contrast: str, choice: EncoderChoice) -> str:
    """Return the end of the default name of a folder: the contrast, and the subjects if chosen."""
    words = "".join(c if c.isalnum() or c in "-+." else "_" for c in contrast.replace(" ", ""))
    numbers = [] if choice.subject == "all" else subject_numbers(choice.subject)
    subjects = f"-subj{'+'.join(numbers)}" if numbers else ""
    return f"-{words}{subjects}"


def _values(
    readout: Readout, numbers: Sequence[int], contrast: Contrast, chunk: Chunk
) -> NDArray[np.float64]:
    """Return the contrast of each picture: a region's mean is over its vertices of both sides."""
    means = readout.roi_means(chunk.rows, numbers).T
    sizes = [len(readout.roi_columns[n]) for n in numbers]

    def region(name: str) -> NDArray[np.float64]:
        parts = [numbers.index(n) for n in readout.select_rois([name])]
        return np.average(means[parts], axis=0, weights=[sizes[p] for p in parts])

    values = {name: region(name) for name in (*contrast.plus, *contrast.minus)}
    return contrast.weigh(values)


def _write_ranking(
    folder: Path, ranking: Ranking, readouts: Sequence[Readout], contrast: Contrast, source: Source
) -> None:
    with (
        replacing(folder / "ranking.csv") as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["end", "rank", "picture", "predicted", "novelty", "sha256"])
        for end, rows in ranking.ends.items():
            for rank, (value, new, digest, name, _) in enumerate(rows, start=1):
                novelty = "" if np.isnan(new) else f"{new:.1f}"
                writer.writerow([end, rank, name, f"{value:.6g}", novelty, digest])
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
    lists = [
        (f"Pictures {LISTS[end]}", [_card(row) for row in rows])
        for end, rows in ranking.ends.items()
    ]
    fits = list(dict.fromkeys(run["title"] for r in readouts for run in r.meta["runs"]))
    names = ", ".join(readout.subject for readout in readouts)
    page = environment.get_template("contact_sheet.html").render(
        title=f"Screening for {contrast.text}",
        banners=_banners(readouts),
        about=(
            f"{plural(len(source.names), 'picture')} of {source.path}; mean over "
            f"{plural(len(readouts), 'subject')} ({names}); {'; '.join(fits)}. Values are "
            "predicted responses in standard deviations of a scan session; novelty is the "
            "percentage of held-out pictures that lie nearer to the training pictures."
        ),
        lists=lists,
    )
    _write_manifest(folder, readouts, contrast, source)
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def _write_manifest(
    folder: Path, readouts: Sequence[Readout], contrast: Contrast, source: Source
) -> None:
    about = {
        "kind": "screening",
        "images": str(source.path.resolve()),
        "n_pictures": len(source.names),
        "contrast": contrast.text,
        "encoders": {readout.subject: readout.meta["digest"] for readout in readouts},
        "simulated": [readout.subject for readout in readouts if readout.simulated],
        "provenance": provenance(),
    }
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _card(row: tuple[float, float, str, str, bytes]) -> dict[str, str]:
    value, novelty, _, name, thumbnail = row
    return {
        "value": f"{value:+.3f}",
        "novelty": "" if np.isnan(novelty) else f"{novelty:.0f}",
        "name": name,
        "jpeg": base64.b64encode(thumbnail).decode(),
    }


def _banners(readouts: Sequence[Readout]) -> list[str]:
    simulated = [readout.subject for readout in readouts if readout.simulated]
    untrained = sorted({space for readout in readouts for space in readout.untrained})
    return [
        *([f"Responses SIMULATED: subjects {', '.join(simulated)}"] if simulated else []),
        *([f"Random weights: {', '.join(untrained)}"] if untrained else []),
    ]


def localize(
    images: Path,
    choice: EncoderChoice,
    labels: Path,
    contrast: str,
    name: str,
    skip_damaged: bool,
) -> Path:
    """Compute t of a contrast between labelled pictures, per vertex, as maps."""
    tested = Contrast.parse(contrast)
    if not tested.minus:
        raise PredictError(f"--contrast {contrast!r}: expected two sides, such as 'face - place'")
    source = open_source(images)
    label_of = _read_labels(labels, source, tested)
    say(describe_source(source))
    folder = choose_folder(choice.out / "screening", name, images, _suffix(contrast, choice))
    readouts, reader = load_readouts(choice)
    sums = [LabelSums() for _ in readouts]
    stream = PictureStream(source, reader, lambda _: True, skip_damaged)
    label_by_digest: dict[str, str] = {}
    for chunk in stream.chunks("localizing"):
        for picture, digest in chunk.names.items():
            if label_by_digest.setdefault(digest, label_of[picture]) != label_of[picture]:
                raise PredictError(
                    f"{labels}: {picture} is {label_of[picture]!r}, and the same picture under "
                    f"another name {label_by_digest[digest]!r}: give one label"
                )
        chunk_labels = [label_by_digest[digest] for digest in chunk.digests]
        if chunk.digests:
            for readout, total in zip(readouts, sums, strict=True):
                total.add(readout.vertices(chunk.rows), chunk_labels)
    for readout, total in zip(readouts, sums, strict=True):
        t = total.t(tested)
        surfaces = readout.to_surface(t.astype(np.float32))
        files = save_surface(surfaces, folder / f"subj{readout.subject}-t", FORMATS)
        say(
            f"subject {readout.subject}: t of {contrast} from {np.nanmin(t):.1f} to "
            f"{np.nanmax(t):.1f} -> {', '.join(file.name for file in files)} in {folder}"
        )
    _write_manifest(folder, readouts, tested, source)
    for line in _banners(readouts):
        say(line)
    return folder


def _read_labels(path: Path, source: Source, contrast: Contrast) -> dict[str, str]:
    """Read the label of each picture of a source, from the columns `picture` and `label`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"picture", "label"} <= set(rows.fieldnames or ()):
                raise PredictError(
                    f"{path}: has columns {', '.join(rows.fieldnames or ()) or 'none'}, expected "
                    "`picture` and `label`"
                )
            pairs = [(row["picture"], (row["label"] or "").strip()) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PredictError(f"{path}: not read ({error}); expected CSV in UTF-8") from error
    label_of = dict(pairs)
    if len(label_of) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise PredictError(
            f"{path}: has two rows for {names.most_common(1)[0][0]}, expected one for each picture"
        )
    missing = [name for name in source.names if name not in label_of]
    if missing:
        raise PredictError(
            f"{path}: {len(missing)} of {plural(len(source.names), 'picture')} have no label "
            f"(first: {missing[0]}): name them as they are named in {source.path}"
        )
    labels = sorted({label_of[name] for name in source.names})
    for name in (*contrast.plus, *contrast.minus):
        if sum(label_of[picture] == name for picture in source.names) < 2:
            raise PredictError(
                f"--contrast: fewer than 2 pictures have the label {name!r}; the labels are "
                f"{', '.join(labels)}"
            )
    return label_of


@dataclass
class LabelSums:
    """Sums over the pictures of each label, from which t follows."""

    n: dict[str, int] = field(default_factory=dict)
    total: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, predicted: NDArray[np.float32], labels: Sequence[str]) -> None:
        """Add predictions (n_images, n_vertices) of pictures with labels."""
        for label in dict.fromkeys(labels):
            part = predicted[[name == label for name in labels]].astype(np.float64)
            self.n[label] = self.n.get(label, 0) + len(part)
            self.total[label] = self.total.get(label, np.zeros(1)) + part.sum(0)
            self.squares[label] = self.squares.get(label, np.zeros(1)) + (part**2).sum(0)

    def t(self, contrast: Contrast) -> NDArray[np.float64]:
        """Compute Welch's t (n_vertices,) of the pictures of one side and of the other."""
        sides = []
        for names in (contrast.plus, contrast.minus):
            n = sum(self.n.get(name, 0) for name in names)
            if n < 2:
                raise PredictError(
                    f"--contrast: {plural(n, 'different picture')} with the label "
                    f"{' or '.join(names)}, expected at least 2"
                )
            mean = sum(self.total[name] for name in names) / n
            variance = (sum(self.squares[name] for name in names) - n * mean**2) / (n - 1)
            sides.append((mean, np.maximum(variance, 0) / n))
        (first, first_error), (second, second_error) = sides
        error = np.sqrt(first_error + second_error)
        return np.asarray((first - second) / np.where(error > 0, error, np.nan))
