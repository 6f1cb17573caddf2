"""What the verbs are given: words after a verb, and names of spaces or files of keys."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from base import DocumentError, RoiridgeError, nearest, read_json, run_hint
from cache.errors import CacheError
from cache.feature_store import Entry, FeatureStore
from cache.feature_table import read_table_meta

# Verbs that take any number of spaces; "pack" then a file.
SEVERAL = ("explain", "pack", "verify")
# What stands behind the name of a space in the name of its file.
DIGEST = len("-0123456789abcdef")
SWITCHES = ("--delete", "--json", "--replace")


def as_flags(argv: Sequence[str]) -> list[str]:
    """Write `pack a b FILE` as `pack FILE --spaces a b`, and `--delete` as `--delete=true`.

    Parameters
    ----------
    argv : sequence of str
        What stands after `python -m cache`.

    Returns
    -------
    list of str
        The same for `base.command_line.parser.run`, which takes lists and switches as flags only.
    """
    verb, *rest = argv or [""]
    flags = next((n for n, word in enumerate(rest) if word.startswith("-")), len(rest))
    words, rest = rest[:flags], rest[flags:]
    if verb in SEVERAL and words:
        spaces, file = (words[:-1], words[-1:]) if verb == "pack" else (words, [])
        words = [*file, *(["--spaces", *spaces] if spaces else [])]
    return [verb, *words, *_switched(rest)] if argv else []


def _switched(words: Sequence[str]) -> Iterator[str]:
    """Let switches do without a value; with one they stay as they are."""
    for word, following in zip_longest(words, words[1:]):
        alone = word in SWITCHES and following not in {"true", "false"}
        yield f"{word}=true" if alone else word


def open_store(out: Path) -> FeatureStore:
    """Give the feature spaces of an output folder that is there.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.

    Returns
    -------
    FeatureStore
        Those in its folder `features`.

    Raises
    ------
    RoiridgeError
        If there is no such folder.
    """
    if not out.is_dir():
        raise RoiridgeError(
            f"{out}: no such folder; give --out, or run `{run_hint('features', out=out)}` first"
        )
    return FeatureStore(out / "features")


def find_files(store: FeatureStore, names: Sequence[str]) -> list[Path]:
    """Find the files of spaces by their names alone, so that damaged ones are found too.

    Parameters
    ----------
    store : FeatureStore
        Where they lie.
    names : sequence of str
        Names of spaces or the beginnings of names of files; all files where there are none.

    Returns
    -------
    list of Path
        Sorted.

    Raises
    ------
    CacheError
        If a name fits no file.
    """
    files = sorted(store.folder.glob("[!.]*.h5"))
    found = set() if names else set(files)
    for name in names:
        readable = store.path(name, {}).stem.rpartition("-")[0]
        exact = [file for file in files if file.stem.rpartition("-")[0] == readable]
        beginning = re.sub(r"[^A-Za-z0-9_.+\-]", "_", name)
        fitting = exact or [file for file in files if file.stem.startswith(beginning)]
        if not fitting:
            there = [file.stem for file in files]
            meant = nearest(name, [word for file in there for word in (file, file[:-DIGEST])])
            raise CacheError(
                f"no features named {name!r} in {store.folder} (there: "
                f"{', '.join(there) or 'none'}){meant}"
            )
        found.update(fitting)
    return sorted(found)


def read_key(path: Path) -> tuple[dict[str, Any], str | None]:
    """Read a key from a file.

    Parameters
    ----------
    path : Path
        A feature space (.h5), or JSON: a key alone, or what `show --json` prints.

    Returns
    -------
    key : dict
        The key.
    name : str or None
        What its space is called, where the file says.

    Raises
    ------
    CacheError
        If the file holds no key.
    """
    if path.suffix == ".h5":
        meta = read_table_meta(path)
    else:
        try:
            meta = read_json(path)
        except FileNotFoundError:
            raise CacheError(f"{path}: there is no such file") from None
        except DocumentError as error:
            raise CacheError(
                f"{error}; expected a key, or what `show SPACE --json` prints"
            ) from error
    key = meta.get("key", meta)
    if not isinstance(key, dict) or not key:
        raise CacheError(
            f"{path}: holds no key; expected a mapping, or what `show SPACE --json` prints"
        )
    return key, meta.get("name")


def compared(store: FeatureStore, word: str) -> tuple[str, dict[str, Any], str | None, list[Entry]]:
    """Find what `explain` compares.

    Parameters
    ----------
    store : FeatureStore
        Where the features lie.
    word : str
        A file with a key, or the name of a space; of several with that name, the last that was
        made.

    Returns
    -------
    title : str
        What is compared, in words.
    key : dict
        Its key.
    name : str or None
        What its space is called.
    others : list of Entry
        The spaces that it is compared with.
    """
    path, entries = Path(word), store.readable()
    named = [entry for entry in entries if entry.name == word]
    if path.suffix in {".json", ".h5"} and not named:
        key, name = read_key(path)
        return str(path), key, name, entries
    named = named or [store.find(word)]
    entry = max(named, key=_age)
    others = [other for other in entries if other.path != entry.path]
    return entry.path.stem, entry.meta["key"], entry.name, others


def _age(entry: Entry) -> tuple[str, float]:
    # A copy has another time than what it is of; rows of earlier revisions tell no other.
    created = entry.meta.get("provenance", {}).get("created", "")
    return str(created), entry.path.stat().st_mtime
