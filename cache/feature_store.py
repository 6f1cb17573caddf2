"""The feature spaces under one folder: find, read, list."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import nearest, run_hint, say
from cache.errors import CacheError, InUseError
from cache.feature_table import read_table_meta, take_rows
from cache.feature_writer import FeatureWriter, ShardWriter
from cache.key import digest
from cache.key_differences import differences
from cache.key_fields import flatten, in_words

NAME_LENGTH = 120


@dataclass(frozen=True)
class Entry:
    """One feature space as it lies on disk.

    Attributes
    ----------
    path : Path
        Its file.
    name : str
        What the user calls it: "clip".
    meta : dict
        Its key, columns per layer, origin of the weights, provenance, rows, columns, bytes.
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


# So many fields that differ are enough to tell spaces of one name apart.
SHOWN = 3


def _told_apart(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """Describe each of several spaces of one name: its origin, age, and what of its key differs."""
    first = entries[0].meta["key"]
    paths = dict.fromkeys(
        path for entry in entries[1:] for path in differences(first, entry.meta["key"])
    )
    for entry in entries:
        leaves = dict(flatten(entry.meta["key"]))
        fields = [f"{path} {in_words(leaves[path])}" for path in paths if path in leaves]
        created = entry.meta.get("provenance", {}).get("created")
        about = [
            str(entry.meta.get("origin", "unknown")),
            *([f"made {created}"] if created else []),
        ]
        yield entry, ", ".join([*about, *fields[:SHOWN]])


class FeatureStore:
    """The feature spaces in a folder.

    Parameters
    ----------
    folder : str or Path
        Usually `derivatives/features`; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, name: str, key: Mapping[str, Any]) -> Path:
        """Say where a space lies.

        Parameters
        ----------
        name : str
            Its name; characters that file names do not like become "_", and what is too long for
            a file name is cut off.
        key : mapping
            Its key.

        Returns
        -------
        Path
            `<folder>/<name>-<digest>.h5`.
        """
        readable = re.sub(r"[^A-Za-z0-9_.+]", "_", name)[:NAME_LENGTH]
        return self.folder / f"{readable}-{digest(key)}.h5"

    def writer(self, name: str, key: Mapping[str, Any], about: Mapping[str, Any]) -> FeatureWriter:
        """Open a space for adding rows.

        Parameters
        ----------
        name : str
            Its name.
        key : mapping
            Its key.
        about : mapping
            What else to keep with it: origin of the weights, columns per layer, provenance.

        Returns
        -------
        FeatureWriter
            A context manager.
        """
        return FeatureWriter(self.path(name, key), {"name": name, "key": dict(key), **about})

    def joining(self, name: str, key: Mapping[str, Any], about: Mapping[str, Any]) -> ShardWriter:
        """Add rows to a space that the process which started this one has open.

        Parameters
        ----------
        name, key, about
            As for `writer`.

        Returns
        -------
        ShardWriter
            A context manager.
        """
        return ShardWriter(self.path(name, key), {"name": name, "key": dict(key), **about})

    def entries(self) -> list[Entry]:
        """List the spaces, reading only what they are.

        Returns
        -------
        list of Entry
            Sorted by file name.

        Raises
        ------
        CacheError
            If a file is damaged or was renamed.
        """
        return [self._entry(path) for path in self._files()]

    def readable(self) -> list[Entry]:
        """List the spaces that can be read; of each other file is said what is wrong with it.

        Returns
        -------
        list of Entry
            Sorted by file name.
        """
        found = []
        for path in self._files():
            try:
                found.append(self._entry(path))
            except (CacheError, InUseError) as error:
                say(f"BAD  {error}")
        return found

    def begun(self) -> list[Entry]:
        """List the spaces of which an interrupted extraction, or one that runs, has left shards.

        Returns
        -------
        list of Entry
            Sorted by file name; the file itself may be absent. Damaged shards are left out.
        """
        found = []
        for folder in sorted(self.folder.glob("[!.]*.shards")):
            for shard in sorted(folder.glob("shard-*.h5")):
                with suppress(CacheError):
                    meta = read_table_meta(shard)
                    found.append(Entry(folder.with_suffix(".h5"), meta["name"], meta))
                    break
        return found

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.h5"))

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
            Its name ("clip"), or the name of its file where several have that name
            ("clip-0123456789abcdef", the digest may be shortened).

        Returns
        -------
        Entry
            The one that fits.

        Raises
        ------
        CacheError
            If there is none, or more than one: features of other weights or settings are never
            taken in silence. Or if a file that may be the one is damaged; others do not matter.
        """
        fitting = self.named(name)
        if not fitting and "-" in name:
            files = (p for p in self._files() if p.stem.startswith(self._file_name(name)))
            fitting = [self._entry(path) for path in files]
        if not fitting:
            names = sorted({e.name for e in self.readable()})
            command = run_hint("features", spaces=[name], out=self.folder.parent)
            raise CacheError(
                f"no features named {name!r} in {self.folder} (there: "
                f"{', '.join(names) or 'none'}): run `{command}` first{nearest(name, names)}"
            )
        if len(fitting) > 1:
            raise CacheError(
                f"{len(fitting)} feature spaces are named {name!r} in {self.folder}; say which: "
                + "; ".join(f"{e.path.stem} ({told})" for e, told in _told_apart(fitting))
            )
        return fitting[0]

    def named(self, name: str) -> list[Entry]:
        """List the spaces of a name.

        Parameters
        ----------
        name : str
            The whole name.

        Returns
        -------
        list of Entry
            Of each key one, sorted by file name.

        Raises
        ------
        CacheError
            If a file that may be of this name is damaged or was renamed.
        """
        stem = self.path(name, {}).stem.rpartition("-")[0]
        files = (path for path in self._files() if path.stem.rpartition("-")[0] == stem)
        return [entry for entry in map(self._entry, files) if entry.name == name]

    @staticmethod
    def _file_name(name: str) -> str:
        return re.sub(r"[^A-Za-z0-9_.+\-]", "_", name)

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
            Whether to give numbers of the dtype that they are stored as, such as uint8 for pixels.

        Returns
        -------
        array of float32 (n_images, n_columns)
            In the order asked for.
        """
        rows = take_rows(entry.path, digests)
        return rows if as_stored else rows.astype(np.float32, copy=False)
