"""Safe reading of another's zip: names first, then headers, then values of the expected size."""

import io
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from evaluate.arrays import Array
from evaluate.submission.expected_files import ExpectedFile, match_name

HEADER = 16_384
"""Bytes that are inflated to read an array's header; np.save's are 128."""
_MAX_NAMES = 5  # files of one kind of fault
_JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}


def locate(
    archive: zipfile.ZipFile, expected: Sequence[ExpectedFile], allow_others: bool = False
) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Return the entry of each expected file, by its name, and the faults of the names.

    An entry with a similar name is a fault, but returned too, so that its contents can be checked.
    """
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    names = Counter(entry.filename for entry in entries)
    by_name = {entry.filename: entry for entry in entries}
    located = {e.name: by_name[e.name] for e in expected if e.name in by_name}
    absent = [e for e in expected if e.name not in by_name]
    faults = [
        f"{name}: stands {n} times in the zip: keep one" for name, n in names.items() if n > 1
    ]
    unexpected: list[str] = []
    parents: dict[str, list[str]] = {}
    for name, entry in by_name.items():
        if (fault := _danger(name, entry)) is not None:
            faults.append(f"{name}: {fault}")
        if name in located or _leads_out(name):
            continue
        target = match_name(name, absent)
        if target is None or target.name in located:
            unexpected.append(name)
            continue
        located[target.name] = entry
        if name.endswith(f"/{target.name}"):
            parents.setdefault(name.removesuffix(target.name), []).append(target.name)
        else:
            faults.append(f"{name}: must be called {target.name}: rename it")
    faults += [
        f"{parent}: is an extra parent folder around {', '.join(held[:2])}"
        f"{f' and {len(held) - 2} more' if len(held) > 2 else ''}: zip the folders subjXX "
        f"themselves (cd {parent.rstrip('/')} && zip -r ../submission.zip subj*)"
        for parent, held in parents.items()
    ]
    missing = [e for e in expected if e.name not in located]
    folders = None if allow_others else {e.folder for e in expected}
    return located, [
        *faults,
        *_missing_faults(missing, located),
        *_unexpected_faults(unexpected, folders),
    ]


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return ".." in path.parts or path.is_absolute() or "\\" in name or ":" in name


def _danger(name: str, entry: zipfile.ZipInfo) -> str | None:
    if _leads_out(name):
        return "leads out of the zip, or would on some systems: remove it"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link: put the file itself"
    if entry.flag_bits & 1:
        return "is encrypted: zip without a password"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in an unusual way: zip with deflate"
    return None


def _missing_faults(missing: Sequence[ExpectedFile], located: Iterable[str]) -> list[str]:
    folders = {name.partition("/")[0] for name in located}
    whole = [e for e in missing if e.folder not in folders]
    faults = [f"{e.name}: missing: add it" for e in missing if e.folder in folders]
    files: dict[str, list[str]] = {}
    for e in whole:
        files.setdefault(e.folder, []).append(e.name.partition("/")[2])
    return faults + [
        f"{folder}/: missing: add the folder, with {' and '.join(names)}"
        for folder, names in files.items()
    ]


def _unexpected_faults(names: Sequence[str], folders: set[str] | None) -> list[str]:
    """List files that do not belong; if `folders` is None, further subjects are allowed."""
    junk = [name for name in names if not _JUNK.isdisjoint(PurePosixPath(name).parts)]
    unexpected = [name for name in names if name not in junk]
    if folders is None:
        unexpected = [name for name in unexpected if not name.startswith("subj")]
    faults = [
        f"{name}: does not belong in a submission to these subjects: remove it"
        for name in unexpected[:_MAX_NAMES]
    ]
    if len(unexpected) > _MAX_NAMES:
        faults.append(f"{len(unexpected) - _MAX_NAMES} more files do not belong: remove them")
    if junk:
        faults.append(
            f"{junk[0]}{f' and {len(junk) - 1} more' if len(junk) > 1 else ''}: put there by the "
            "file manager: remove with zip -d submission.zip '__MACOSX/*' '*.DS_Store'"
        )
    return faults


def read_array(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    expected: ExpectedFile,
    expected_files: Sequence[ExpectedFile],
) -> tuple[Array | None, list[str]]:
    """Read one hemisphere's predictions, (n_images, n_vertices), and list the faults of the file.

    The predictions are None if there is any fault. Nothing is unpickled or unpacked to disk. Of a
    file of another size at most the header is inflated, whatever size it or the zip claims.
    """
    if _danger(entry.filename, entry):
        return None, []  # `locate` has named it
    try:
        with archive.open(entry) as stream:
            head = io.BytesIO(stream.read(HEADER))
        shape, fortran, dtype = _read_header(head)
    except Exception as error:  # zipfile, zlib, tokenize and numpy have no one kind
        return None, [_unreadable(error)]
    faults = _header_faults(shape, dtype, expected, expected_files)
    start, n_bytes = head.tell(), int(np.prod(shape, dtype=object)) * dtype.itemsize
    n_held = entry.file_size - start
    if dtype.hasobject:
        return None, faults
    if n_held != n_bytes:
        amount = "more" if n_held > n_bytes else "fewer"
        faults.append(
            f"has {amount} bytes than its shape says ({_size(n_held)}, expected "
            f"{_size(n_bytes)}): save it again with np.save"
        )
    # A transposed array has the expected number of values, so its values are checked too.
    n_expected = expected.shape[0] * expected.shape[1]
    is_plain = dtype.kind in "fiub" and n_bytes == n_expected * dtype.itemsize
    if n_held != n_bytes or not is_plain or dtype.itemsize > 8:
        return None, faults
    try:
        with archive.open(entry) as stream:
            stream.read(start)
            raw = stream.read(n_bytes)
            stream.read(1)  # to the end, so that zipfile verifies the checksum
        values = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    except Exception as error:  # zipfile, zlib, tokenize and numpy have no one kind
        return None, [_unreadable(error)]
    if (is_bad := ~np.isfinite(values)).any():
        row, column = np.argwhere(is_bad)[0]
        faults.append(
            f"has {int(is_bad.sum())} values that are NaN or infinite, the first in row {row}, "
            f"column {column}, counting from 0: predict numbers"
        )
    return (None if faults else values), faults


def _unreadable(error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return f"cannot be read as a plain .npy ({reason}): save it again with np.save"


def _read_header(head: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(head)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(head)
    if version == (2, 0):
        # It may claim a length of gigabytes, but `head` holds no more than HEADER.
        return np.lib.format.read_array_header_2_0(head)
    raise ValueError(f"its .npy format is {version}, expected (1, 0)")


def _header_faults(
    shape: tuple[int, ...],
    dtype: np.dtype,
    expected: ExpectedFile,
    expected_files: Sequence[ExpectedFile],
) -> list[str]:
    faults = []
    if dtype.hasobject:
        faults.append("holds Python objects, which are never unpickled: save a float32 array")
    elif dtype != np.float32:
        faults.append(f"is {dtype}, expected float32: .astype('float32')")
    if shape != expected.shape:
        shapes = f"has shape {shape}, expected {expected.shape} (test pictures, vertices)"
        faults.append(f"{shapes}: {_shape_reason(shape, expected, expected_files)}")
    return faults


def _shape_reason(
    shape: tuple[int, ...], expected: ExpectedFile, expected_files: Sequence[ExpectedFile]
) -> str:
    if shape == expected.shape[::-1]:
        return "it is transposed, save array.T"
    transposed = shape[::-1]
    same = [
        e
        for e in expected_files
        if e.subject == expected.subject and e.hemisphere != expected.hemisphere
    ]
    for candidate, note in ((shape, ""), (transposed, ", and it is transposed")):
        if any(candidate == file.shape for file in same):
            return f"it is as wide as {same[0].hemisphere}, the hemispheres look swapped{note}"
        if len(candidate) == 2 and 0 < expected.n_train == candidate[0]:
            return f"its rows are as many as training pictures, predict the test pictures{note}"
        if matches := [e for e in expected_files if e.shape == candidate]:
            return f"that is the shape of {matches[0].name}, it looks like another's{note}"
    return "predict every test picture and every vertex"


def _size(n_bytes: int) -> str:
    if n_bytes > 1e18:  # a header may claim more than a float can hold
        return "more than 10^12 MB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes} bytes"
