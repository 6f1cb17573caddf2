"""Look through a dataset and list every fault at once, each with what was expected and the fix."""

from challenge.checks.findings import Findings
from challenge.checks.masks import check_masks
from challenge.checks.pictures import Stimuli, check_pictures, check_shared
from challenge.checks.responses import check_responses
from challenge.layout import HEMISPHERES, SPLITS, split_folder
from challenge.subject import Subject


def inspect(subjects: list[Subject]) -> Findings:
    """Read every file of some subjects and collect what is wrong with them.

    Each file is read whatever is wrong with the others.
    """
    findings = Findings()
    shown: list[Stimuli] = []
    for subject in subjects:
        splits = _splits(subject)
        if "train" not in splits:
            findings.add_remark(
                f"{subject.folder}: no {split_folder(subject.folder, 'train').name}: submissions "
                "can be scored, and nothing can be fitted"
            )
        stimuli = check_pictures(subject, splits, findings)
        shown += stimuli.values()
        n_vertices = check_masks(subject, findings)
        n_images = {split: stimuli[split].n_images for split in splits}
        check_responses(subject, n_images, n_vertices, findings)
    check_shared(shown, findings)
    return findings


def find_faults(subjects: list[Subject]) -> list[str]:
    """Return what is wrong with some subjects.

    Returns
    -------
    list of str
        One line for each fault: file, what was found, what was expected, the fix. Empty where all
        is well.
    """
    return list(inspect(subjects).faults)


def summarise(subjects: list[Subject]) -> str:
    """Return a table of what a faultless dataset holds."""
    lines = ["subject  training  test  LH vertices  RH vertices  LH ROIs  RH ROIs  noise ceilings"]
    for subject in subjects:
        splits = _splits(subject)
        pictures = [len(subject.pictures(split)) if split in splits else 0 for split in SPLITS]
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        rois = [sum(roi.vertices.size > 0 for roi in subject.rois(h)) for h in HEMISPHERES]
        there = [split for split in SPLITS if subject.noise_ceiling("lh", split) is not None]
        lines.append(
            f"{subject.name:>7}{pictures[0]:>10}{pictures[1]:>6}{vertices[0]:>13}{vertices[1]:>13}"
            f"{rois[0]:>9}{rois[1]:>9}  {' and '.join(there) or 'none'}"
            + (" (simulated)" if subject.simulated else "")
        )
    return "\n".join(lines)


def _splits(subject: Subject) -> list[str]:
    # Whoever scores submissions has the test split alone.
    scored = subject.has_test_responses and not split_folder(subject.folder, "train").exists()
    return ["test"] if scored else list(SPLITS)
