"""Test pictures that are also training pictures."""

from collections.abc import Iterable
from pathlib import Path

from challenge.layout import SPLITS, pictures_folder
from challenge.subject import Subject


def test_pictures_in_training(subject: Subject) -> list[tuple[Path, Path]]:
    """Return the test pictures that are also training pictures, by the contents of their files.

    Scores on such pictures do not measure predictions for new pictures.

    Parameters
    ----------
    subject : Subject
        The subject; without a folder of pictures for each split, the result is empty.

    Returns
    -------
    list of tuple of Path
        Pairs of a test picture and the first training picture of the same contents, in the order
        of the test pictures.

    Raises
    ------
    DataError
        If the pictures of a split cannot be listed.

    Examples
    --------
    >>> test_pictures_in_training(Subject("data/subj01"))
    []
    """
    if not all(pictures_folder(subject.folder, split).is_dir() for split in SPLITS):
        return []
    training, test = (
        list(zip(subject.picture_digests(split), subject.pictures(split), strict=True))
        for split in SPLITS
    )
    return shared_contents(training, test)


def shared_contents(
    training: Iterable[tuple[str, Path]], test: Iterable[tuple[str, Path]]
) -> list[tuple[Path, Path]]:
    """Return pairs of a test picture and the first training picture of the same digest."""
    first: dict[str, Path] = {}
    for digest, picture in training:
        first.setdefault(digest, picture)
    return [(picture, first[digest]) for digest, picture in test if digest in first]
