"""Atomic writes of files: write to a temporary name, flush, rename."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to `path` when the block succeeds.

    A reader sees the old file or the new one, never half of one. On an error, or Ctrl-C, the
    temporary file is removed and `path` is left as it was.

    Parameters
    ----------
    path : Path
        The file to write. Its folder is created if it does not exist.

    Yields
    ------
    Path
        The name to write to, in the same folder and with the same suffix.

    Raises
    ------
    OSError
        If the file cannot be written, as on a full disk.

    Examples
    --------
    >>> with replacing(Path("derivatives/scores.csv")) as temporary:
    ...     _ = temporary.write_text("roi,score")
    >>> Path("derivatives/scores.csv").read_text()
    'roi,score'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        # Python names the file in errors of opening, but not of writing.
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    # The rename itself must reach the disk, or a power cut may bring the old name back.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
