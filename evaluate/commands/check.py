"""`python -m evaluate check`: reads a submission by numpy and zipfile, and lists every fault."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from base import convert_paths, plural, progress, say
from challenge import Subject, find_subjects
from evaluate.submission.expected_files import ExpectedFile, list_expected, member_name
from evaluate.submission.findings import Findings
from evaluate.submission.plausibility import PlausibilityCheck
from evaluate.submission.zip_reader import locate, read_array

__all__ = ["LIMIT", "check", "faults", "inspect", "member_name"]

LIMIT = 300_000_000
"""The challenge's limit on the zip, in bytes (300 decimal MB)."""


@convert_paths
def check(submission: Path, data: Path | None = None) -> int:
    """Check anyone's submission, listing every fault at once with its fix.

    Parameters
    ----------
    submission : Path
        The zip.
    data : Path, optional
        The challenge's directory, for the pictures and vertices that there must be; where it holds
        test responses, the order of the rows is checked against them. Without it, the published
        numbers of the challenge's eight subjects are expected.

    Returns
    -------
    int
        0 if it is valid, 1 if not.
    """
    subjects = None if data is None else find_subjects(data)
    found = inspect(submission, subjects)
    wrong = found.wrong
    for line in wrong:
        say(f"- {line}")
    for line in found.remarks:
        say(f"  {line}")
    verdict = plural(len(wrong), "fault") if wrong else "valid"
    size = f", {submission.stat().st_size / 1e6:.1f} MB" if submission.is_file() else ""
    against = "the published numbers of the challenge's 8 subjects"
    if subjects is not None:
        against = f"{plural(len(subjects), 'subject')} of {data}"
    say(f"{submission}: {verdict} (checked against {against}{size})")
    return 1 if wrong else 0


@convert_paths
def faults(submission: Path, subjects: Sequence[Subject] | None = None) -> list[str]:
    """List what is wrong with a submission.

    Parameters
    ----------
    submission : Path
        The zip, anyone's: nothing in it is unpickled or unpacked to disk.
    subjects : sequence of Subject, optional
        Those that it must hold; the challenge's eight, as published, by default.

    Returns
    -------
    list of str
        A line each, with what was found, what was expected and the fix; empty if it is valid.
    """
    return inspect(submission, subjects).wrong


def inspect(
    submission: Path, subjects: Sequence[Subject] | None = None, strangers: bool = False
) -> Findings:
    """Look through a submission, one subject in memory at a time.

    Parameters
    ----------
    submission : Path
        The zip.
    subjects : sequence of Subject, optional
        Those that it must hold; the challenge's eight, as published, by default.
    strangers : bool
        Whether it may hold further subjects, which are not looked at.

    Returns
    -------
    Findings
        Everything at once.
    """
    if not submission.is_file():
        return Findings([f"{submission}: no such file: give the path of a zip"])
    found = Findings()
    if (size := submission.stat().st_size) > LIMIT:
        found.faults.append(
            f"is {size / 1e6:.1f} MB, the challenge takes {LIMIT / 1e6:.0f}: save float32, deflated"
        )
    expected = list_expected(subjects)
    try:
        opened = zipfile.ZipFile(submission)
    except Exception as error:  # of damaged names and fields, zipfile has no one kind
        found.faults.append(f"cannot be read as a zip ({error}): make it again")
        return found
    with opened:
        located, wrong = locate(opened, expected, strangers)
        found.faults += wrong
        _inspect_arrays(opened, located, expected, found)
    return found


def _inspect_arrays(
    opened: zipfile.ZipFile,
    located: dict[str, zipfile.ZipInfo],
    expected: Sequence[ExpectedFile],
    found: Findings,
) -> None:
    suspicion = PlausibilityCheck(found)
    for one in progress(expected, desc="checking", unit="file"):
        if one.name in located:
            entry = located[one.name]
            values, wrong = read_array(opened, entry, one, expected)
            found.faults += [f"{entry.filename}: {fault}" for fault in wrong]
            if values is not None:
                suspicion.check(entry.filename, values, one)
    suspicion.conclude()
