"""Weights that all vertices of a training share: one file, to which the ROIs' files refer.

The file is `fits/<run>/shared/subj01.lh-<digest>.h5`, beside the subjects' folders. It is written
before the first ROI that refers to it, and removed when none does any more. The digest is of the
numbers themselves, so a file that was replaced is noticed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128

from base import say
from cache import CacheError, read_artifact, read_meta, write_artifact
from regress.errors import RegressError

FOLDER = "shared"
# Arrays equal to another array of the file, by name: untrained weights are saved once.
SAME = "same"

Arrays = dict[str, NDArray]


def save_shared(
    run: Path, training: str, state: Mapping[str, NDArray], names: Sequence[str]
) -> str:
    """Save the arrays that all vertices share, unless the file exists; return its name."""
    arrays = {name: state[name] for name in sorted(names)}
    name = f"{training}-{_digest(arrays)}"
    path = shared_file(run, name)
    if not path.exists():
        twins = _find_twins(arrays)
        distinct = {n: values for n, values in arrays.items() if n not in twins}
        write_artifact(path, distinct, {"kind": "shared", "name": name, SAME: twins})
    return name


def load_shared(path: Path, name: str) -> Arrays:
    """Load the arrays that the fit at `path` shares with other ROIs, and check their digest."""
    file = shared_file(path.parent.parent, name)
    fix = "run the command that fitted it again, or copy the whole folder of the fit"
    if not file.exists():
        raise RegressError(
            f"{file}: there is no such file; expected the weights that {path} shares with other "
            f"ROIs: {fix}"
        )
    arrays, meta = read_artifact(file)
    arrays |= {n: arrays[twin] for n, twin in meta.get(SAME, {}).items() if twin in arrays}
    digest = _digest(dict(sorted(arrays.items())))
    if meta.get("kind") != "shared" or not name.endswith(f"-{digest}"):
        raise RegressError(
            f"{file}: holds {meta.get('kind')!r} weights of digest {digest}, expected those that "
            f"{path} was fitted with, {name}: remove it, and {fix}"
        )
    return arrays


def shared_file(run: Path, name: str) -> Path:
    """Return the file of the weights that all vertices of a training share."""
    return run / FOLDER / f"{name}.h5"


def shared_exists(run: Path, name: str) -> bool:
    """Return whether shared weights can be read; if not, tell the user."""
    try:
        read_meta(shared_file(run, name))
    except CacheError as error:
        say(f"{error}; the ROIs that shared it are fitted again")
        return False
    return True


def remove_unused(run: Path, training: str, fits: Iterable[Path]) -> None:
    """Remove files of earlier runs of a training to which no ROI refers any more.

    Files of other subjects and hemispheres are left alone: other processes may be fitting them.
    """
    files = sorted((run / FOLDER).glob(f"{training}-*.h5"))
    if not files:
        return
    references = set()
    for path in fits:
        try:
            references.add(read_meta(path).get("shared"))
        except CacheError:
            continue  # A damaged fit is fitted again, with all ROIs that share its weights.
    for file in files:
        if file.stem not in references:
            say(f"{file}: weights that no ROI shares any more; removed")
            file.unlink()


def _digest(arrays: Mapping[str, NDArray]) -> str:
    total = xxh3_128()
    for name, values in arrays.items():
        total.update(f"{name} {values.dtype} {values.shape}\n".encode())
        total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()[:16]


def _find_twins(arrays: Mapping[str, NDArray]) -> dict[str, str]:
    """Find the arrays of before the refit ("inside.…") that the refit did not change."""
    return {
        name: plain
        for name, values in arrays.items()
        if (plain := name.partition(".")[2]) in arrays
        and name.startswith("inside.")
        and np.array_equal(values, arrays[plain])
    }
