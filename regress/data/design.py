"""The features of a subject's pictures, side by side, with what they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import Entry, FeatureStore
from challenge import Subject, pictures_digest
from regress.data.extreme_features import check_extremes


@dataclass(frozen=True)
class Design:
    """What the models of a subject are fitted on.

    Attributes
    ----------
    spaces : tuple of str
        The feature spaces, in the order of their columns.
    keys : dict of str to str
        The digest of each space's key.
    untrained : tuple of str
        Those computed with random weights.
    band_names : tuple of str
        What has a penalty of its own: a space, or each layer of a space that keeps its layers
        apart ("clip_layers[blocks.5]").
    band_keys : tuple of str
        A digest of each band: its space's, with the band's place in it.
    bands : array of int (n_features,)
        The number of the band that each column belongs to.
    train, test : array of float32 or uint8 (n_images, n_features)
        Rows in the order of the subject's pictures; bytes where all spaces are stored as bytes, as
        pixels are, of which float32 would take four times the memory.
    training_pictures, test_pictures : tuple of str
        The sha256 of each row's picture.
    """

    spaces: tuple[str, ...]
    keys: dict[str, str]
    untrained: tuple[str, ...]
    band_names: tuple[str, ...]
    band_keys: tuple[str, ...]
    bands: NDArray[np.int64]
    train: NDArray[np.float32 | np.uint8]
    test: NDArray[np.float32 | np.uint8]
    training_pictures: tuple[str, ...]
    test_pictures: tuple[str, ...]

    @property
    def pictures_digest(self) -> str:
        """A digest of which pictures stand in which rows."""
        return pictures_digest(self.training_pictures, self.test_pictures)


def find_spaces(store: FeatureStore, names: Sequence[str]) -> list[Entry]:
    """Find the feature spaces by name; each must be there, once."""
    return [store.find(name) for name in dict.fromkeys(names)]


@dataclass(frozen=True)
class Band:
    """Columns of a space that have a penalty of their own.

    Attributes
    ----------
    name : str
        The space's, with the layer in brackets where the space keeps its layers apart.
    key : str
        A digest that changes with the numbers.
    width : int
        How many columns.
    """

    name: str
    key: str
    width: int


def find_bands(entries: Sequence[Entry], layers: bool = True) -> list[Band]:
    """List the bands of spaces, in the order of their columns.

    Parameters
    ----------
    layers : bool
        Whether layers that a space keeps apart are bands of their own; else each space is one.
    """
    bands = []
    for entry in entries:
        apart = (layers and entry.meta.get("bands")) or []
        for number, band in enumerate(apart):
            name, key = f"{entry.name}[{band['name']}]", f"{entry.digest}:{number}"
            bands.append(Band(name, key, int(band["columns"])))
        if not apart:
            bands.append(Band(entry.name, entry.digest, int(entry.meta["columns"])))
    return bands


def load_design(
    subject: Subject, store: FeatureStore, entries: Sequence[Entry], layers: bool = True
) -> Design:
    """Read the features of a subject's training and test pictures.

    Parameters
    ----------
    subject : Subject
        The subject.
    store : FeatureStore
        Where the features lie.
    entries : sequence of Entry
        The feature spaces.
    layers : bool
        As in `find_bands`.

    Returns
    -------
    Design
        All of it, checksums verified.
    """
    train_names = tuple(subject.picture_digests("train"))
    test_names = tuple(subject.picture_digests("test"))
    widths = [int(entry.meta["columns"]) for entry in entries]
    stored = {entry.meta["dtype"] for entry in entries}
    dtype = np.uint8 if stored == {"uint8"} else np.float32
    train = np.empty((len(train_names), sum(widths)), dtype)
    test = np.empty((len(test_names), sum(widths)), dtype)
    start = 0
    for entry, width in zip(entries, widths, strict=True):
        columns = slice(start, start + width)
        train[:, columns] = store.read(entry, train_names, as_stored=True)
        test[:, columns] = store.read(entry, test_names, as_stored=True)
        if dtype is np.float32:
            for split, values in (("train", train), ("test", test)):
                files = [path.name for path in subject.pictures(split)]
                check_extremes(entry.name, values[:, columns], files)
        start += width
    bands = find_bands(entries, layers)
    return Design(
        spaces=tuple(entry.name for entry in entries),
        keys={entry.name: entry.digest for entry in entries},
        untrained=tuple(entry.name for entry in entries if entry.untrained),
        band_names=tuple(band.name for band in bands),
        band_keys=tuple(band.key for band in bands),
        bands=np.repeat(np.arange(len(bands)), [band.width for band in bands]),
        train=train,
        test=test,
        training_pictures=train_names,
        test_pictures=test_names,
    )


def empty_design(
    subject: Subject, entries: Sequence[Entry], layers: bool = True, read_pictures: bool = False
) -> Design:
    """Return a subject's features as `load_design` does, without their numbers.

    Parameters
    ----------
    entries : sequence of Entry
        The feature spaces; what is said of them is enough.
    read_pictures : bool
        Whether to read the pictures, to name them as they are.
    """
    bands = find_bands(entries, layers)
    width = sum(band.width for band in bands)
    dtype = np.uint8 if {entry.meta["dtype"] for entry in entries} == {"uint8"} else np.float32
    counts = [len(subject.pictures(split)) for split in ("train", "test")]
    train, test = (np.broadcast_to(np.zeros(1, dtype), (n, width)) for n in counts)
    names = [
        tuple(
            subject.picture_digests(split) if read_pictures else (f"{n:064x}" for n in range(count))
        )
        for split, count in zip(("train", "test"), counts, strict=True)
    ]
    return Design(
        spaces=tuple(entry.name for entry in entries),
        keys={entry.name: entry.digest for entry in entries},
        untrained=tuple(entry.name for entry in entries if entry.untrained),
        band_names=tuple(band.name for band in bands),
        band_keys=tuple(band.key for band in bands),
        bands=np.repeat(np.arange(len(bands)), [band.width for band in bands]),
        train=train,
        test=test,
        training_pictures=names[0],
        test_pictures=names[1],
    )
