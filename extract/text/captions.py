"""Captions of pictures: from COCO by NSD id, or from a CSV by the name or digest of a picture.

Rows of features are named by pictures alone, so the key of a space must identify the captions. It
holds a digest of all captions in the files, in canonical form, rather than those of the present
subjects: another subject then adds rows to the same space, while another caption gives another
space. The order of rows and files, quoting, and the source (COCO or CSV) do not change the digest;
a CSV with more rows does, and all rows are computed again.
"""

import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from challenge import DataError, Subject
from challenge.pictures.listing import nsd_id
from extract.errors import ExtractError
from extract.text.coco import TABLE_COLUMNS, TABLE_NAME, read_coco
from extract.text.csv_rows import read_columns, read_header

PLAIN_COLUMNS = ("picture", "caption")
EXPECTED = (
    f"captions_train2017.json captions_val2017.json {TABLE_NAME}, or a CSV with the columns "
    f"{','.join(PLAIN_COLUMNS)}"
)

log = logging.getLogger("extract")


@dataclass(frozen=True)
class Captions:
    """All captions in some files."""

    files: tuple[Path, ...]
    # Sorted captions of each picture, which is named by "nsd-13", its sha256 or its name.
    by_picture: Mapping[str, tuple[str, ...]]
    table: Path | None = None  # NSD's stimulus table, if the captions are COCO's

    @cached_property
    def digest(self) -> str:
        """A digest of all pictures and captions."""
        entries = sorted((name, list(texts)) for name, texts in self.by_picture.items() if texts)
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def for_subjects(self, subjects: Sequence[Subject]) -> dict[str, tuple[str, ...]]:
        """Return the captions of all pictures of some subjects, by the sha256 of the picture."""
        names_by_digest: dict[str, set[str]] = defaultdict(set)
        paths: dict[str, str] = {}
        digests: dict[str, str] = {}
        for digest, path, names in _pictures(subjects, by_nsd_id=self.table is not None):
            paths.setdefault(digest, path)
            names_by_digest[digest] |= names & self.by_picture.keys()
            for name in names & self.by_picture.keys():
                if digests.setdefault(name, digest) != digest and not name.startswith("nsd-"):
                    raise ExtractError(
                        f"{self._source}: {name!r} is the name of two pictures; expected one: "
                        f"write {paths[digests[name]]} and {path}"
                    )
        self._check_complete(names_by_digest, paths)
        if self.table is None and len(digests) < len(self.by_picture):
            unused = self.by_picture.keys() - digests.keys()
            log.warning(
                "%s: %d of %d pictures are none of these subjects' (first: %s): left out",
                self._source, len(unused), len(self.by_picture), min(unused),
            )  # fmt: skip
        return {
            digest: self._check_agreement(names, paths[digest])
            for digest, names in names_by_digest.items()
        }

    @property
    def _source(self) -> str:
        return ", ".join(str(path) for path in self.files if path != self.table)

    def _check_complete(
        self, names_by_digest: Mapping[str, set[str]], paths: Mapping[str, str]
    ) -> None:
        unlisted = [paths[digest] for digest, names in names_by_digest.items() if not names]
        if self.table is not None and unlisted:
            raise ExtractError(
                f"{self.table}: no row with the NSD id of {len(unlisted)} of {len(paths)} "
                f"pictures (first: {', '.join(unlisted[:3])}); expected ids 0 to 72999: fetch "
                f"{TABLE_NAME} again"
            )
        captions = self.by_picture
        incomplete = [
            paths[digest]
            for digest, names in names_by_digest.items()
            if not any(map(captions.get, names))
        ]
        if incomplete:
            advice = "add a row for each"
            if self.table:
                advice = "NSD's pictures are of both train2017 and val2017: give both files"
            raise ExtractError(
                f"{self._source}: no caption of {len(incomplete)} of {len(paths)} pictures "
                f"(first: {', '.join(incomplete[:3])}); expected one at least: {advice}"
            )

    def _check_agreement(self, names: set[str], path: str) -> tuple[str, ...]:
        first, *other_names = sorted(names)
        for name in other_names:
            if self.by_picture[name] != self.by_picture[first]:
                raise ExtractError(
                    f"{self._source}: {path} has different captions as {first!r} and as {name!r}; "
                    "expected the same, since they are one picture: remove one of them"
                )
        return self.by_picture[first]


def read_captions(files: Sequence[str | Path]) -> Captions:
    """Read files of captions, each once.

    They are COCO's annotation files (.json) and NSD's stimulus table (a CSV with `nsdId` and
    `cocoId`); or CSV files with the columns `picture` and `caption`, a row for each caption, in
    which a picture is a file's name, its path such as `subj01/train-0001_nsd-00013.png`, or its
    sha256.
    """
    expanded = [Path(file).expanduser() for file in files]
    paths = tuple({path.resolve(): path for path in expanded}.values())
    if not paths:
        raise ExtractError(f"--captions: none given, and a space embeds them; expected {EXPECTED}")
    kinds: dict[str, list[Path]] = {"coco": [], "table": [], "plain": []}
    for path in paths:
        kinds[_kind(path)].append(path)
    if kinds["plain"]:
        if len(kinds["plain"]) < len(paths):
            raise ExtractError(
                f"--captions: {kinds['plain'][0]} is a list of pictures and captions, and others "
                f"are COCO's; expected one kind: {EXPECTED}"
            )
        return Captions(paths, _read_plain(paths))
    if not kinds["coco"] or len(kinds["table"]) != 1:
        raise ExtractError(
            f"--captions: {len(kinds['coco'])} of COCO's annotation files and "
            f"{len(kinds['table'])} stimulus tables; expected {EXPECTED}. The table is NSD's "
            f"nsddata/experiments/nsd/{TABLE_NAME}"
        )
    table = kinds["table"][0]
    captions = read_coco(kinds["coco"], table)
    return Captions(paths, {f"nsd-{n}": tuple(sorted(c)) for n, c in captions.items()}, table)


def _kind(path: Path) -> str:
    if not path.is_file():
        raise ExtractError(
            f"--captions {path}: there is no such file; expected {EXPECTED}; a name with blanks "
            "needs quotes, CAPTIONS='\"my files/a.csv\" b.csv'"
        )
    if path.suffix.lower() == ".json":
        return "coco"
    if path.suffix.lower() != ".csv":
        raise ExtractError(f"--captions {path}: expected .json or .csv: unpack it first")
    columns = read_header(path)
    if set(TABLE_COLUMNS) <= set(columns):
        return "table"
    if set(PLAIN_COLUMNS) <= set(columns):
        return "plain"
    raise ExtractError(
        f"{path}: columns {', '.join(columns)[:200] or 'none'}; expected picture and caption, or "
        "nsdId and cocoId, with commas between: name them in the first line"
    )


def _read_plain(paths: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Read the captions of each picture, and check that all of its names have the same ones."""
    rows: dict[str, list[str]] = {}
    for path in paths:
        empty = []
        for line, (picture, caption) in read_columns(path, PLAIN_COLUMNS):
            if not picture.strip() or not caption.strip():
                empty.append(line)
            rows.setdefault(picture.strip(), []).append(caption.strip())
        if empty:
            raise ExtractError(
                f"{path}: {len(empty)} rows have no picture or an empty caption (first: line "
                f"{empty[0]}): fill them in, or remove them"
            )
    by_name: dict[str, tuple[str, ...]] = {}
    origin: dict[str, str] = {}
    for picture, captions in rows.items():
        name, texts = _canonical_name(picture), tuple(sorted(captions))
        if by_name.setdefault(name, texts) != texts:
            raise ExtractError(
                f"{', '.join(map(str, paths))}: {origin[name]} and {picture} are one picture with "
                "different captions; expected the same: remove one of them"
            )
        origin.setdefault(name, picture)
    return by_name


def _canonical_name(name: str) -> str:
    """Return the name of a picture in a form that does not depend on its folder or notation."""
    text = name.replace("\\", "/").removeprefix("./")
    if re.fullmatch("[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        return f"nsd-{nsd_id(Path(text))}"
    except DataError:
        return text


def _pictures(subjects: Sequence[Subject], by_nsd_id: bool) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each picture's sha256, path, and all names that it may have in the captions."""
    for subject in subjects:
        folder = subject.folder
        for split in ("train", "test"):
            paths, digests = subject.pictures(split), subject.picture_digests(split)
            for digest, path in zip(digests, paths, strict=True):
                relative = path.relative_to(folder.parent).as_posix()
                if by_nsd_id:
                    names = {f"nsd-{nsd_id(path)}"}
                else:
                    spellings = (path.name, f"{folder.name}/{path.name}", relative)
                    names = {digest, *map(_canonical_name, spellings)}
                yield digest, relative, names
