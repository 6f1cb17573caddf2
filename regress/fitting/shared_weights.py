"""Weights that belong to all vertices of a training: one file, which the ROIs' files refer to.

They lie beside the subjects' folders, as `fits/<run>/shared/subj01.lh-<digest>.h5`: written before
the first ROI that refers to them, and removed when none does any more. The digest is of the numbers
themselves, so what was put in place of a file is known.
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
# Arrays that are those of another name, as weights are that were never trained.
SAME = "same"

Arrays = dict[str, NDArray]


def save_shared(
    run: Path, training: str, state: Mapping[str, NDArray], names: Sequence[str]
) -> str:
    """Save what belongs to all vertices of a training, if it is not there yet."""
    arrays = {name: state[name] for name in sorted(names)}
    name = f"{training}-{_digest(arrays)}"
    path = shared_file(run, name)
    if not path.exists():
        same = _twins(arrays)
        kept = {n: values for n, values in arrays.items() if n not in same}
        write_artifact(path, kept, {"kind": "shared", "name": name, SAME: same})
    return name


def load_shared(path: Path, name: str) -> Arrays:
    """Load what belongs to all vertices of a training."""
    file = shared_file(path.parent.parent, name)
    fix = "run the command that fitted it again, or copy the whole folder of the fit"
    if not file.exists():
        raise RegressError(
            f"{file}: there is no such file; expected the weights that {path} shares with other "
            f"ROIs: {fix}"
        )
    arrays, meta = read_artifact(file)
    arrays |= {n: arrays[twin] for n, twin in meta.get(SAME, {}).items() if twin in arrays}
    found = _digest(dict(sorted(arrays.items())))
    if meta.get("kind") != "shared" or not name.endswith(f"-{found}"):
        raise RegressError(
            f"{file}: holds {meta.get('kind')!r} weights of digest {found}, expected those that "
            f"{path} was fitted with, {name}: remove it, and {fix}"
        )
    return arrays


def shared_file(run: Path, name: str) -> Path:
    """Say where what belongs to all vertices of a training lies."""
    return run / FOLDER / f"{name}.h5"


def is_there(run: Path, name: str) -> bool:
    """Say whether what ROIs refer to is there; where it is not, say so to the user."""
    try:
        read_meta(shared_file(run, name))
    except CacheError as error:
        say(f"{error}; the ROIs that shared it are fitted again")
        return False
    return True


def remove_unused(run: Path, training: str, fits: Iterable[Path]) -> None:
    """Remove files of earlier trainings that no ROI refers to any more.

    Parameters
    ----------
    training : str
        Whose, and of which hemispheres: those of others are left alone, who may be fitting now.
    """
    files = sorted((run / FOLDER).glob(f"{training}-*.h5"))
    if not files:
        return
    used = set()
    for path in fits:
        try:
            used.add(read_meta(path).get("shared"))
        except CacheError:
            continue  # It is fitted again, and so is all that shared with it.
    for file in files:
        if file.stem not in used:
            say(f"{file}: weights that no ROI shares any more; removed")
            file.unlink()


def _digest(arrays: Mapping[str, NDArray]) -> str:
    total = xxh3_128()
    for name, values in arrays.items():
        total.update(f"{name} {values.dtype} {values.shape}\n".encode())
        total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()[:16]


def _twins(arrays: Mapping[str, NDArray]) -> dict[str, str]:
    """Find arrays before a refit that it left as they were."""
    return {
        name: plain
        for name, values in arrays.items()
        if (plain := name.partition(".")[2]) in arrays
        and name.startswith("inside.")
        and np.array_equal(values, arrays[plain])
    }
