"""Inspection of a submission: every fault at once."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from base import convert_paths, plural, progress, say
from challenge import Subject, find_subjects
from evaluate.submission.expected_files import ExpectedFile, list_expected
from evaluate.submission.findings import Findings
from evaluate.submission.plausibility import PlausibilityCheck
from evaluate.submission.zip_reader import locate, read_array

LIMIT = 300_000_000
"""The challenge's limit on the zip, in bytes (300 decimal MB)."""


def check_submission(submission: Path, data: Path | None) -> int:
    """Check any submission, and list every fault at once with its fix."""
    subjects = None if data is None else find_subjects(data)
    findings = inspect(submission, subjects)
    wrong = findings.wrong
    for line in wrong:
        say(f"- {line}")
    for line in findings.remarks:
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
    """List the faults of a submission.

    Parameters
    ----------
    submission : Path
        The zip, from any source: nothing in it is unpickled or unpacked to disk.
    subjects : sequence of Subject, optional
        The expected subjects; by default the challenge's eight, as published.

    Returns
    -------
    list of str
        A line for each fault, with what was found, what was expected and the fix; empty if valid.

    Examples
    --------
    >>> faults("submission.zip")
    ['submission.zip: no such file: give the path of a zip']
    """
    return inspect(submission, subjects).wrong


def inspect(
    submission: Path, subjects: Sequence[Subject] | None = None, strangers: bool = False
) -> Findings:
    """Inspect a submission, with one subject in memory at a time.

    By default the challenge's eight subjects are expected; `strangers` are allowed, and ignored.
    """
    if not submission.is_file():
        return Findings([f"{submission}: no such file: give the path of a zip"])
    findings = Findings()
    if (size := submission.stat().st_size) > LIMIT:
        findings.faults.append(
            f"is {size / 1e6:.1f} MB, the challenge takes {LIMIT / 1e6:.0f}: save float32, deflated"
        )
    expected = list_expected(subjects)
    try:
        archive = zipfile.ZipFile(submission)
    except Exception as error:  # zipfile raises many kinds for damaged names and fields
        findings.faults.append(f"cannot be read as a zip ({error}): make it again")
        return findings
    with archive:
        located, wrong = locate(archive, expected, strangers)
        findings.faults += wrong
        _inspect_arrays(archive, located, expected, findings)
    return findings


def _inspect_arrays(
    archive: zipfile.ZipFile,
    located: dict[str, zipfile.ZipInfo],
    expected: Sequence[ExpectedFile],
    findings: Findings,
) -> None:
    suspicion = PlausibilityCheck(findings)
    for expected_file in progress(expected, desc="checking", unit="file"):
        if expected_file.name in located:
            entry = located[expected_file.name]
            values, wrong = read_array(archive, entry, expected_file, expected)
            findings.faults += [f"{entry.filename}: {fault}" for fault in wrong]
            if values is not None:
                suspicion.check(entry.filename, values, expected_file)
    suspicion.conclude()
