"""Test pictures that a model may have been fitted on."""

from pathlib import Path

from challenge.layout import SPLITS, pictures_folder
from challenge.subject import Subject


def test_pictures_in_training(subject: Subject) -> list[tuple[Path, Path]]:
    """Return the test pictures that are also training pictures, by the contents of their files.

    Scores on such pictures say nothing of what a model predicts for new ones.

    Parameters
    ----------
    subject : Subject
        The subject. A split whose folder of pictures is absent shares none with the other.

    Returns
    -------
    list of tuple of Path
        Pairs of a test picture and the first training picture of the same contents, in the order
        of the test pictures.

    Raises
    ------
    DataError
        If the pictures of a split cannot be listed.
    """
    if not all(pictures_folder(subject.folder, split).is_dir() for split in SPLITS):
        return []
    training: dict[str, Path] = {}
    for digest, picture in zip(
        subject.picture_digests("train"), subject.pictures("train"), strict=True
    ):
        training.setdefault(digest, picture)
    tested = zip(subject.picture_digests("test"), subject.pictures("test"), strict=True)
    return [(picture, training[digest]) for digest, picture in tested if digest in training]
