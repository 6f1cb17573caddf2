"""The design matrix of a subject: the features of its pictures, with names and digests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import Entry, FeatureStore
from challenge import Subject, pictures_digest
from regress.data.extreme_features import check_extremes


@dataclass(frozen=True)
class Design:
    """The features that the models of a subject are fitted on.

    Attributes
    ----------
    spaces : tuple of str
        The feature spaces, in the order of their columns.
    keys : dict of str to str
        The digest of each space's key.
    untrained : tuple of str
        The spaces that were computed with random weights.
    band_names : tuple of str
        The bands, each with its own penalty: spaces, or the layers of a space that keeps its layers
        apart ("clip_layers[blocks.5]").
    band_keys : tuple of str
        A digest of each band: that of its space, with the number of the layer.
    bands : array of int (n_features,)
        The number of the band that each column belongs to.
    train, test : array of float32 or uint8 (n_images, n_features)
        Features, with rows in the order of the subject's pictures; bytes where all spaces are
        stored as bytes, as pixels are, since float32 would take four times the memory.
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
        """A digest of the picture of each row."""
        return pictures_digest(self.training_pictures, self.test_pictures)


def find_spaces(store: FeatureStore, names: Sequence[str]) -> list[Entry]:
    """Find feature spaces by name; a name that is repeated counts once."""
    return [store.find(name) for name in dict.fromkeys(names)]


@dataclass(frozen=True)
class Band:
    """Columns of a space that have their own penalty.

    Attributes
    ----------
    name : str
        The name of the space, with the layer in brackets where the space keeps its layers apart.
    key : str
        A digest that changes with the numbers.
    width : int
        The number of columns.
    """

    name: str
    key: str
    width: int


def find_bands(entries: Sequence[Entry], layers: bool = True) -> list[Band]:
    """List the bands of spaces, in the order of their columns.

    Parameters
    ----------
    layers : bool
        Whether each layer of a space that keeps its layers apart is a band; else each space is one.
    """
    bands = []
    for entry in entries:
        layer_bands = (layers and entry.meta.get("bands")) or []
        for number, band in enumerate(layer_bands):
            name, key = f"{entry.name}[{band['name']}]", f"{entry.digest}:{number}"
            bands.append(Band(name, key, int(band["columns"])))
        if not layer_bands:
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
        The cache that holds the features.
    entries : sequence of Entry
        The feature spaces.
    layers : bool
        Whether each layer of a space that keeps its layers apart is a band.

    Returns
    -------
    Design
        The features, after their checksums were verified.

    Examples
    --------
    >>> store = FeatureStore("derivatives/features")
    >>> entries = [store.find("alexnet"), store.find("clip")]
    >>> design = load_design(Subject("data/subj01"), store, entries)
    >>> design.train.shape, design.band_names
    ((40, 16), ('alexnet', 'clip'))
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
    """Return the design that `load_design` would, with zeros for features; no features are read.

    Parameters
    ----------
    entries : sequence of Entry
        The feature spaces, which need not exist yet.
    read_pictures : bool
        Whether to read the pictures for their sha256; else they get arbitrary names.
    """
    bands = find_bands(entries, layers)
    width = sum(band.width for band in bands)
    dtype = np.uint8 if {entry.meta["dtype"] for entry in entries} == {"uint8"} else np.float32
    counts = [len(subject.pictures(split)) for split in ("train", "test")]
    train, test = (np.broadcast_to(np.zeros(1, dtype), (n, width)) for n in counts)
    if read_pictures:
        names = [tuple(subject.picture_digests(split)) for split in ("train", "test")]
    else:
        names = [tuple(map("{:064x}".format, range(count))) for count in counts]
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
