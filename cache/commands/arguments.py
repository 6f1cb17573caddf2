"""Arguments of the verbs: words after a verb, names of spaces, and files with keys."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from base import DocumentError, RoiridgeError, nearest, read_json, run_hint
from cache.errors import CacheError
from cache.feature_store import Entry, FeatureStore, files_by_name, files_by_prefix, space_files
from cache.feature_table import read_table_meta

# Verbs that take any number of spaces; "pack" then a file.
LIST_VERBS = ("explain", "pack", "verify")
# A file is called <name of the space>-<digest>.h5.
DIGEST_LENGTH = len("-0123456789abcdef")
SWITCHES = ("--delete", "--json", "--replace")
EXPECTED = "what `show SPACE --json` prints"


def as_flags(argv: Sequence[str]) -> list[str]:
    """Return `pack a b FILE` as `pack FILE --spaces a b`, and `--delete` as `--delete=true`.

    This is because `base.command_line.parser.run` accepts lists and switches as flags only.
    """
    verb, *rest = argv or [""]
    flags = next((n for n, word in enumerate(rest) if word.startswith("-")), len(rest))
    words, rest = rest[:flags], rest[flags:]
    if verb in LIST_VERBS and words:
        spaces, file = (words[:-1], words[-1:]) if verb == "pack" else (words, [])
        words = [*file, *(["--spaces", *spaces] if spaces else [])]
    return [verb, *words, *_complete_switches(rest)] if argv else []


def _complete_switches(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, with "=true" added to each switch without a value."""
    for word, following in zip_longest(words, words[1:]):
        lacks_value = word in SWITCHES and following not in {"true", "false"}
        yield f"{word}=true" if lacks_value else word


def open_store(out: Path) -> FeatureStore:
    """Return the feature store of an existing output folder."""
    if not out.is_dir():
        raise RoiridgeError(
            f"{out}: no such folder; give --out, or run `{run_hint('features', out=out)}` first"
        )
    return FeatureStore(out / "features")


def find_files(store: FeatureStore, names: Sequence[str]) -> list[Path]:
    """Return the files of spaces by the names of files alone, even damaged ones; all without names.

    A name is that of a space, or the beginning of the name of a file.
    """
    files = space_files(store.folder)
    selected = set() if names else set(files)
    for name in names:
        matches = files_by_name(store.folder, name) or files_by_prefix(store.folder, name)
        if not matches:
            stems = [file.stem for file in files]
            hint = nearest(name, [word for file in stems for word in (file, file[:-DIGEST_LENGTH])])
            raise CacheError(
                f"no features named {name!r} in {store.folder} (there: "
                f"{', '.join(stems) or 'none'}){hint}"
            )
        selected.update(matches)
    return sorted(selected)


def read_key(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return the key in a file, and the name of its space if the file has it.

    The file is a feature space (.h5), or JSON: a key alone, or the output of `show --json`.
    """
    if path.suffix == ".h5":
        meta = read_table_meta(path)
    else:
        try:
            meta = read_json(path)
        except FileNotFoundError:
            raise CacheError(f"{path}: there is no such file") from None
        except DocumentError as error:
            raise CacheError(f"{error}; expected a key, or {EXPECTED}") from error
    key = meta.get("key", meta)
    if not isinstance(key, dict) or not key:
        raise CacheError(f"{path}: holds no key; expected a mapping, or {EXPECTED}")
    return key, meta.get("name")


def select_comparison(
    store: FeatureStore, word: str
) -> tuple[str, dict[str, Any], str | None, list[Entry]]:
    """Return the title, key and name of a space, and the stored spaces to compare it with.

    `word` is a file with a key, or the name of a space; of several with that name, the newest.
    """
    path, entries = Path(word), store.readable_entries()
    matches = [entry for entry in entries if entry.name == word]
    if path.suffix in {".json", ".h5"} and not matches:
        key, name = read_key(path)
        return str(path), key, name, entries
    matches = matches or [store.find(word)]
    entry = max(matches, key=_creation_time)
    other_entries = [candidate for candidate in entries if candidate.path != entry.path]
    return entry.path.stem, entry.meta["key"], entry.name, other_entries


def _creation_time(entry: Entry) -> tuple[str, float]:
    # The time of the file is that of a copy; spaces of earlier revisions hold no other time.
    created = entry.meta.get("provenance", {}).get("created", "")
    return str(created), entry.path.stat().st_mtime
