"""Which captions a picture has: from COCO by its NSD id, or from a CSV by its name or content.

A row of features is named by its picture alone and cannot tell of which captions it was made, so
the key must. The digest is of all captions of the files, in canonical form, and not of those of the
subjects at hand: a further subject then adds rows to the same space, while any other caption gives
another space. The order of rows and files, quoting, and whether a picture's captions came from COCO
or from a CSV do not matter; a CSV that is made longer is another source, and all is computed anew.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from challenge import DataError, Subject
from challenge.pictures.decoding import nsd_id
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
    """The captions of some files, whatever pictures are at hand.

    Attributes
    ----------
    files : tuple of Path
        Where they were read.
    by_picture : mapping of str to tuple of str
        The sorted captions of each picture, which is named by "nsd-13", its sha256 or its name.
    table : Path or None
        NSD's stimulus table, where the captions are COCO's.
    digest : str
        Changes with any caption or picture of the files.
    """

    files: tuple[Path, ...]
    by_picture: Mapping[str, tuple[str, ...]]
    table: Path | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        listed = sorted((name, list(texts)) for name, texts in self.by_picture.items() if texts)
        text = json.dumps(listed, separators=(",", ":"), ensure_ascii=True)
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:32])

    def of(self, subjects: Sequence[Subject]) -> dict[str, tuple[str, ...]]:
        """Find the captions of all pictures of some subjects.

        Returns
        -------
        dict of str to tuple of str
            The captions of each picture, which is named by the sha256 of its file; a caption that
            was given twice stands there twice.
        """
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        shown: dict[str, str] = {}
        used: dict[str, str] = {}
        for digest, path, names in _pictures(subjects, by_nsd_id=self.table is not None):
            shown.setdefault(digest, path)
            given = found.setdefault(digest, {})
            for name in names & self.by_picture.keys():
                given[name] = self.by_picture[name]
                if used.setdefault(name, digest) != digest and not name.startswith("nsd-"):
                    raise ExtractError(
                        f"{self._where}: {name!r} is the name of two pictures; expected one: "
                        f"write {shown[used[name]]} and {path}"
                    )
        self._check_complete(found, shown)
        if self.table is None and len(used) < len(self.by_picture):
            left = self.by_picture.keys() - used.keys()
            log.warning(
                "%s: %d of %d pictures are none of these subjects' (first: %s): left out",
                self._where, len(left), len(self.by_picture), min(left),
            )  # fmt: skip
        return {digest: self._agreed(given, shown[digest]) for digest, given in found.items()}

    @property
    def _where(self) -> str:
        return ", ".join(str(path) for path in self.files if path != self.table)

    def _check_complete(
        self, found: Mapping[str, Mapping[str, tuple[str, ...]]], shown: Mapping[str, str]
    ) -> None:
        unlisted = [shown[digest] for digest in found if not found[digest]]
        if self.table is not None and unlisted:
            raise ExtractError(
                f"{self.table}: no row with the NSD id of {len(unlisted)} of {len(found)} pictures "
                f"(first: {', '.join(unlisted[:3])}); expected ids 0 to 72999: fetch {TABLE_NAME} "
                "again"
            )
        without = [shown[digest] for digest in found if not any(found[digest].values())]
        if without:
            both = "NSD's pictures are of both train2017 and val2017: give both files"
            raise ExtractError(
                f"{self._where}: no caption of {len(without)} of {len(found)} pictures (first: "
                f"{', '.join(without[:3])}); expected one at least: "
                f"{both if self.table else 'add a row for each'}"
            )

    def _agreed(self, given: Mapping[str, tuple[str, ...]], shown: str) -> tuple[str, ...]:
        first, *others = sorted(given)
        for other in others:
            if given[other] != given[first]:
                raise ExtractError(
                    f"{self._where}: {shown} has different captions as {first!r} and as {other!r}; "
                    "expected the same, since they are one picture: remove one of them"
                )
        return given[first]


def read_captions(files: Sequence[str | Path]) -> Captions:
    """Read files of captions, each once.

    Parameters
    ----------
    files : sequence of str or Path
        COCO's annotation files (.json) and NSD's stimulus table (a CSV with `nsdId` and `cocoId`);
        or CSV files of `picture` and `caption`, in which a picture is a file's name, its path such
        as `subj01/train-0001_nsd-00013.png`, or the sha256 of the file, once for each caption.
    """
    given = [Path(file).expanduser() for file in files]
    paths = tuple({path.resolve(): path for path in given}.values())
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
            "stands in quotes, CAPTIONS='\"my files/a.csv\" b.csv'"
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
    """Gather the captions of each picture, and see that its several names agree."""
    written: dict[str, list[str]] = {}
    for path in paths:
        empty = []
        for line, (picture, caption) in read_columns(path, PLAIN_COLUMNS):
            if not picture.strip() or not caption.strip():
                empty.append(line)
            written.setdefault(picture.strip(), []).append(caption.strip())
        if empty:
            raise ExtractError(
                f"{path}: {len(empty)} rows have no picture or an empty caption (first: line "
                f"{empty[0]}): fill them in, or remove them"
            )
    found: dict[str, tuple[str, ...]] = {}
    origin: dict[str, str] = {}
    for picture, captions in written.items():
        name, texts = _canonical(picture), tuple(sorted(captions))
        if found.setdefault(name, texts) != texts:
            raise ExtractError(
                f"{', '.join(map(str, paths))}: {origin[name]} and {picture} are one picture with "
                "different captions; expected the same: remove one of them"
            )
        origin.setdefault(name, picture)
    return found


def _canonical(written: str) -> str:
    """Name a picture the same however it is written, and whosever folder it is in."""
    text = written.replace("\\", "/").removeprefix("./")
    if re.fullmatch("[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        return f"nsd-{nsd_id(Path(text))}"
    except DataError:
        return text


def _pictures(subjects: Sequence[Subject], by_nsd_id: bool) -> Iterator[tuple[str, str, set[str]]]:
    """Give each picture's sha256, path, and all names that it may have in the captions."""
    for subject in subjects:
        folder = subject.folder
        for split in ("train", "test"):
            paths, digests = subject.pictures(split), subject.picture_digests(split)
            within = [path.relative_to(folder.parent).as_posix() for path in paths]
            if by_nsd_id:
                names = [{f"nsd-{number}"} for number in subject.nsd_ids(split)]
            else:
                names = [
                    {digest, *map(_canonical, (path.name, f"{folder.name}/{path.name}", place))}
                    for digest, path, place in zip(digests, paths, within, strict=True)
                ]
            yield from zip(digests, within, names, strict=True)
