"""`python -m evaluate check`: reads a submission by numpy and zipfile, and lists every fault."""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from base import say
from challenge import HEMISPHERES, Subject, find_subjects

LIMIT = 300_000_000
"""The challenge's limit on the zip, in bytes (300 decimal MB)."""

ROWS = 256


def member(subject: Subject, hemisphere: str) -> str:
    """Name the file of a hemisphere's predictions.

    Parameters
    ----------
    subject : Subject
        Whose.
    hemisphere : str
        "lh" or "rh".

    Returns
    -------
    str
        Its path within the zip.
    """
    return f"subj{subject.name}/{hemisphere}_pred_test.npy"


def check(submission: Path, data: Path = Path("data")) -> int:
    """Check a submission against a directory, listing every fault.

    Parameters
    ----------
    submission : Path
        The zip.
    data : Path
        The challenge's directory, for the pictures and vertices that there must be.

    Returns
    -------
    int
        0 if it is valid, 1 if not.
    """
    subjects = find_subjects(data)
    found = faults(submission, subjects)
    for fault in found:
        say(f"- {fault}")
    verdict = f"{len(found)} fault{'s' * (len(found) != 1)}" if found else "valid"
    size = f", {submission.stat().st_size / 1e6:.1f} MB" if submission.is_file() else ""
    say(f"{submission}: {verdict} (checked against {len(subjects)} subjects of {data}{size})")
    return 1 if found else 0


def faults(submission: Path, subjects: Sequence[Subject]) -> list[str]:
    """List what is wrong with a submission.

    Whether the rows are in the order of the test pictures cannot be told from predictions alone.

    Parameters
    ----------
    submission : Path
        The zip, anyone's: nothing in it is unpickled or unpacked to disk.
    subjects : sequence of Subject
        Those that it must hold.

    Returns
    -------
    list of str
        A line each, with what was found, what was expected and the fix; empty if it is valid.
    """
    if not submission.is_file():
        return [f"{submission}: no such file: give the path of a zip"]
    found = []
    if (size := submission.stat().st_size) > LIMIT:
        found.append(
            f"is {size / 1e6:.1f} MB, the challenge takes {LIMIT / 1e6:.0f}: save float32, deflated"
        )
    try:
        with zipfile.ZipFile(submission) as opened:
            return found + _name_faults(opened, subjects) + _array_faults(opened, subjects)
    except zipfile.BadZipFile as error:
        return [*found, f"cannot be read as a zip ({error}): make it again"]


def _name_faults(opened: zipfile.ZipFile, subjects: Sequence[Subject]) -> list[str]:
    expected = [member(subject, h) for subject in subjects for h in HEMISPHERES]
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    names = Counter(entry.filename for entry in entries)
    found = [f"{name}: missing: add it" for name in expected if name not in names]
    found += [
        f"{name}: stands {n} times in the zip: keep one" for name, n in names.items() if n > 1
    ]
    for entry in entries:
        name, parts = entry.filename, PurePosixPath(entry.filename).parts
        if ".." in parts or name.startswith("/") or "\\" in name:
            found.append(f"{name}: leads out of the zip: remove it")
        elif stat.S_ISLNK(entry.external_attr >> 16):
            found.append(f"{name}: is a symbolic link: put the file itself")
        elif name not in expected:
            inner = next((path for path in expected if name.endswith(f"/{path}")), None)
            found.append(
                f"{name}: has an extra parent folder: zip the folders subjXX themselves, "
                f"so that it is {inner}"
                if inner
                else f"{name}: does not belong in a submission to these subjects: remove it"
            )
    return found


def _array_faults(opened: zipfile.ZipFile, subjects: Sequence[Subject]) -> list[str]:
    names = set(opened.namelist())
    found = []
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            name = member(subject, hemisphere)
            if name not in names:
                continue
            try:
                with opened.open(name) as stream:
                    fault = _array_fault(stream, subject, hemisphere)
            except (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError,
                    NotImplementedError) as error:  # fmt: skip
                fault = f"cannot be read as a plain .npy ({error}): save it again with np.save"
            if fault:
                found.append(f"{name}: {fault}")
    return found


def _array_fault(stream: IO[bytes], subject: Subject, hemisphere: str) -> str | None:
    shape, fortran, dtype = _read_header(stream)
    expected = (len(subject.pictures("test")), subject.n_vertices(hemisphere))
    if dtype.hasobject:
        return "holds Python objects, which are never unpickled: save a float32 array"
    wrong = [] if dtype == np.float32 else [f"is {dtype}, expected float32: .astype('float32')"]
    if shape != expected:
        wrong.append(_shape_fault(shape, expected, subject, hemisphere))
    if wrong:
        # An array of other size than expected is not read: it could be of any size.
        return "; ".join(wrong)
    return _value_fault(stream, expected, fortran, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"its .npy format is {version}, expected (1, 0)")


def _shape_fault(
    shape: tuple[int, ...], expected: tuple[int, int], subject: Subject, hemisphere: str
) -> str:
    other = "rh" if hemisphere == "lh" else "lh"
    told = f"has shape {shape}, expected {expected} (test pictures, vertices)"
    if shape == expected[::-1]:
        return f"{told}: it is transposed"
    if len(shape) == 2 and shape[0] == len(subject.pictures("train")):
        return f"{told}: its rows are as many as training pictures, predict the test pictures"
    if shape == (expected[0], subject.n_vertices(other)):
        return f"{told}: it is as wide as {other}, the hemispheres look swapped"
    return f"{told}: predict every test picture and every vertex"


def _value_fault(
    stream: IO[bytes], shape: tuple[int, int], fortran: bool, dtype: np.dtype
) -> str | None:
    lines, length = shape[::-1] if fortran else shape
    bad = 0
    for start in range(0, lines, ROWS):
        wanted = min(ROWS, lines - start) * length * dtype.itemsize
        block = stream.read(wanted)
        if len(block) < wanted:
            return f"ends {wanted - len(block)} bytes or more too early: save it again"
        bad += int((~np.isfinite(np.frombuffer(block, dtype))).sum())
    # Reading to the end also has zipfile verify the member's checksum.
    if stream.read(1):
        return "has more bytes than its shape says: save it again with np.save"
    return f"has {bad} values that are NaN or infinite: predict numbers" if bad else None
