"""The store of feature spaces in a folder: find, read, list."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base import nearest, run_hint, say
from cache.errors import CacheError, InUseError
from cache.feature_table import read_table_meta, take_rows
from cache.key import differences, digest, flatten, format_value

if TYPE_CHECKING:
    from cache.feature_writer import FeatureWriter, ShardWriter

NAME_LENGTH = 120


@dataclass(frozen=True)
class Entry:
    """A stored feature space.

    Attributes
    ----------
    path : Path
        Its file.
    name : str
        Its name, such as "clip".
    meta : dict
        Its key, columns per layer, origin of the weights, provenance, rows, columns, bytes.

    Examples
    --------
    >>> entry = FeatureStore("derivatives/features").find("alexnet")
    >>> entry.name, entry.untrained
    ('alexnet', False)
    """

    path: Path
    name: str
    meta: dict[str, Any]

    @property
    def digest(self) -> str:
        """The digest of its key."""
        return digest(self.meta["key"])

    @property
    def untrained(self) -> bool:
        """Whether it was computed with random weights."""
        return "untrained" in self.meta["key"].get("weights", {})


# Differing fields that a message shows for each of several spaces of one name.
N_FIELDS_SHOWN = 3


def _descriptions(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the file, origin, age and differing fields of each of several spaces of one name."""
    first = entries[0].meta["key"]
    paths = dict.fromkeys(
        path for entry in entries[1:] for path in differences(first, entry.meta["key"])
    )
    for entry in entries:
        leaves = dict(flatten(entry.meta["key"]))
        fields = [f"{path} {format_value(leaves[path])}" for path in paths if path in leaves]
        created = entry.meta.get("provenance", {}).get("created")
        age = [f"made {created}"] if created else []
        details = [str(entry.meta.get("origin", "unknown")), *age, *fields[:N_FIELDS_SHOWN]]
        yield f"{entry.path.stem} ({', '.join(details)})"


def space_files(folder: Path) -> list[Path]:
    """Return the files of all spaces in a folder, sorted."""
    return sorted(folder.glob("[!.]*.h5"))


def files_by_name(folder: Path, name: str) -> list[Path]:
    """Return the files that may be of spaces of a name, `<name>-<digest>.h5`."""
    stem = _file_name(name)
    return [file for file in space_files(folder) if file.stem.rpartition("-")[0] == stem]


def files_by_prefix(folder: Path, prefix: str) -> list[Path]:
    """Return the files whose names begin with the name of a space and part of a digest."""
    stem = re.sub(r"[^A-Za-z0-9_.+\-]", "_", prefix)
    return [file for file in space_files(folder) if file.stem.startswith(stem)]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+]", "_", name)[:NAME_LENGTH]


class FeatureStore:
    """The feature spaces in a folder.

    Parameters
    ----------
    folder : str or Path
        The folder, usually `derivatives/features`; created by the first writer.

    Examples
    --------
    >>> store, digests = FeatureStore("features"), ["0" * 64, "1" * 64]
    >>> with store.writer("ratings", {"layers": ["mean"]}, {"origin": "observers"}) as writer:
    ...     writer.add(digests, np.eye(2, dtype=np.float32))
    >>> store.read(store.find("ratings"), digests).shape
    (2, 2)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, name: str, key: Mapping[str, Any]) -> Path:
        """Return the file of a space.

        Parameters
        ----------
        name : str
            The name of the space; characters that are unusual in file names become "_", and long
            names are cut off.
        key : mapping
            The key of the space.

        Returns
        -------
        Path
            `<folder>/<name>-<digest>.h5`.
        """
        return self.folder / f"{_file_name(name)}-{digest(key)}.h5"

    def writer(
        self, name: str, key: Mapping[str, Any], details: Mapping[str, Any]
    ) -> "FeatureWriter":
        """Open a space for adding rows.

        Parameters
        ----------
        name : str
            The name of the space.
        key : mapping
            The key of the space.
        details : mapping
            Further fields of its meta: origin of the weights, columns per layer, provenance.

        Returns
        -------
        FeatureWriter
            A context manager.
        """
        # Most commands only read.
        from cache.feature_writer import FeatureWriter

        return FeatureWriter(self.path(name, key), {"name": name, "key": dict(key), **details})

    def shard_writer(
        self, name: str, key: Mapping[str, Any], details: Mapping[str, Any]
    ) -> "ShardWriter":
        """Open a space for adding rows while the parent process has it open.

        Parameters
        ----------
        name, key, details
            The arguments of `writer`.

        Returns
        -------
        ShardWriter
            A context manager.
        """
        from cache.feature_writer import ShardWriter

        return ShardWriter(self.path(name, key), {"name": name, "key": dict(key), **details})

    def entries(self) -> list[Entry]:
        """List the spaces, reading only their meta.

        Returns
        -------
        list of Entry
            The spaces, sorted by file name.

        Raises
        ------
        CacheError
            If a file is damaged or was renamed.
        """
        return [self._entry(path) for path in space_files(self.folder)]

    def readable_entries(self) -> list[Entry]:
        """List the spaces that can be read, and print the faults of other files.

        Returns
        -------
        list of Entry
            The spaces, sorted by file name.
        """
        entries = []
        for path in space_files(self.folder):
            try:
                entries.append(self._entry(path))
            except (CacheError, InUseError) as error:
                say(f"BAD  {error}")
        return entries

    def interrupted(self) -> list[Entry]:
        """List the spaces with shards of an interrupted or running extraction.

        Returns
        -------
        list of Entry
            The spaces, sorted by file name; the file itself may be absent. Damaged shards are left
            out.
        """
        entries = []
        for folder in sorted(self.folder.glob("[!.]*.shards")):
            for shard in sorted(folder.glob("shard-*.h5")):
                with suppress(CacheError):
                    meta = read_table_meta(shard)
                    entries.append(Entry(folder.with_suffix(".h5"), meta["name"], meta))
                    break
        return entries

    def _entry(self, path: Path) -> Entry:
        meta = read_table_meta(path)
        if path != self.path(meta["name"], meta["key"]):
            raise CacheError(
                f"{path}: holds {meta['name']} with key {digest(meta['key'])}, which belongs "
                f"in {self.path(meta['name'], meta['key']).name}: it was renamed or altered; "
                "rename it back, or delete it and extract again"
            )
        return Entry(path, meta["name"], meta)

    def find(self, name: str) -> Entry:
        """Find a space by name.

        Parameters
        ----------
        name : str
            The name of the space ("clip"), or the name of its file where several spaces have that
            name ("clip-0123456789abcdef", the digest may be shortened).

        Returns
        -------
        Entry
            The space.

        Raises
        ------
        CacheError
            If no space matches, or several do, so that features of other weights or settings are
            never taken silently; or if a matching file is damaged.
        """
        matches = self.entries_named(name)
        if not matches and "-" in name:
            matches = [self._entry(path) for path in files_by_prefix(self.folder, name)]
        if not matches:
            names = sorted({e.name for e in self.readable_entries()})
            command = run_hint("features", spaces=[name], out=self.folder.parent)
            raise CacheError(
                f"no features named {name!r} in {self.folder} (there: "
                f"{', '.join(names) or 'none'}): run `{command}` first{nearest(name, names)}"
            )
        if len(matches) > 1:
            raise CacheError(
                f"{len(matches)} feature spaces are named {name!r} in {self.folder}; say which: "
                + "; ".join(_descriptions(matches))
            )
        return matches[0]

    def entries_named(self, name: str) -> list[Entry]:
        """List the spaces of a name.

        Parameters
        ----------
        name : str
            The whole name.

        Returns
        -------
        list of Entry
            The spaces, one for each key, sorted by file name.

        Raises
        ------
        CacheError
            If a file that may be of this name is damaged or was renamed.
        """
        entries = map(self._entry, files_by_name(self.folder, name))
        return [entry for entry in entries if entry.name == name]

    def read(
        self, entry: Entry, digests: Sequence[str], as_stored: bool = False
    ) -> NDArray[np.float32]:
        """Read the rows of pictures.

        Parameters
        ----------
        entry : Entry
            The space.
        digests : sequence of str
            The sha256 of each picture's file; repeats are allowed.
        as_stored : bool
            Whether to return the stored dtype, such as uint8 for pixels, instead of float32.

        Returns
        -------
        array of float32 (n_images, n_columns)
            The rows, in the order of `digests`.
        """
        rows = take_rows(entry.path, digests)
        return rows if as_stored else rows.astype(np.float32, copy=False)
