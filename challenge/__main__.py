"""`python -m challenge`: simulate a dataset, or check one."""

import sys
from pathlib import Path

from base import convert_paths, say
from base.command_line.parser import run
from challenge.checks.dataset import inspect, summarise
from challenge.dataset import find_subjects
from challenge.simulator import dataset as simulator


@convert_paths
def simulate(
    directory: Path,
    subjects: int = 2,
    train_images: int = 300,
    test_images: int = 60,
    vertices: int | list[int] = 400,
    seed: int = 0,
    photos: str = "auto",
    picture_size: int = 425,
) -> int:
    """Write a simulated dataset with the challenge's layout and a known ground truth.

    Parameters
    ----------
    directory : Path
        The folder to create. If it holds the same simulation already, nothing is done.
    subjects : int
        Number of subjects.
    train_images : int
        Number of training pictures of each subject.
    test_images : int
        Number of test pictures of each subject.
    vertices : int or list of int
        Number of vertices of the left hemisphere, the right having 8 % more; or "[left,right]".
    seed : int
        Seed of the simulation; the same seed and settings give the same files.
    photos : str
        builtin (photographs of scikit-image and scikit-learn), auto (with the cut-outs of
        tuxpaint-stamps-default where it is installed) or a folder of PNG and JPEG files.
    picture_size : int
        Width and height of the pictures, pixels.

    Returns
    -------
    int
        The exit status.
    """
    try:
        simulator.simulate(
            directory, subjects, train_images, test_images, vertices, seed, photos, picture_size
        )
    except KeyboardInterrupt:
        # Unlike other commands, this one writes all or nothing.
        print(f"\ninterrupted: nothing was written to {directory}", file=sys.stderr)
        return 130
    return 0


@convert_paths
def check(directory: Path) -> int:
    """Read every file of a dataset, and list all faults at once.

    Parameters
    ----------
    directory : Path
        The folder that holds subj01, subj02 and so on.

    Returns
    -------
    int
        0 for a valid dataset, 1 with any fault.
    """
    subjects = find_subjects(directory)
    findings = inspect(subjects)
    faults = list(findings.faults)
    if not faults:
        say(summarise(subjects))
    for remark in findings.remarks:
        say(f"note: {remark}")
    if not faults:
        say(f"{directory}: no faults")
        return 0
    for fault in faults:
        say(fault)
    say(f"{directory}: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}")
    return 1


EXAMPLES = [
    "python -m challenge simulate data/simulated --subjects 2 --train-images 300 "
    "--test-images 60 --vertices 400 --seed 0",
    "python -m challenge check data/simulated",
]

if __name__ == "__main__":
    sys.exit(run({"simulate": simulate, "check": check}, "challenge", EXAMPLES))
