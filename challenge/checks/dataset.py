"""Check a dataset and list all of its faults at once."""

from challenge.checks.masks import check_masks
from challenge.checks.pictures import Stimuli, check_pictures, check_shared
from challenge.checks.responses import check_responses
from challenge.errors import Findings
from challenge.layout import HEMISPHERES, SPLITS, split_folder
from challenge.subject import Subject


def inspect(subjects: list[Subject]) -> Findings:
    """Read every file of some subjects, and return all faults and remarks."""
    findings = Findings()
    all_stimuli: list[Stimuli] = []
    for subject in subjects:
        splits = _splits(subject)
        if "train" not in splits:
            findings.add_remark(
                f"{subject.folder}: no {split_folder(subject.folder, 'train').name}: submissions "
                "can be scored, and nothing can be fitted"
            )
        stimuli = check_pictures(subject, splits, findings)
        all_stimuli += stimuli.values()
        n_vertices = check_masks(subject, findings)
        n_images = {split: stimuli[split].n_images for split in splits}
        check_responses(subject, n_images, n_vertices, findings)
    check_shared(all_stimuli, findings)
    return findings


def summarise(subjects: list[Subject]) -> str:
    """Return a table of the sizes of a valid dataset."""
    lines = ["subject  training  test  LH vertices  RH vertices  LH ROIs  RH ROIs  noise ceilings"]
    for subject in subjects:
        splits = _splits(subject)
        pictures = [len(subject.pictures(split)) if split in splits else 0 for split in SPLITS]
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        rois = [sum(roi.vertices.size > 0 for roi in subject.rois(h)) for h in HEMISPHERES]
        ceiling_splits = [
            split for split in SPLITS if subject.noise_ceiling("lh", split) is not None
        ]
        lines.append(
            f"{subject.name:>7}{pictures[0]:>10}{pictures[1]:>6}{vertices[0]:>13}{vertices[1]:>13}"
            f"{rois[0]:>9}{rois[1]:>9}  {' and '.join(ceiling_splits) or 'none'}"
            + (" (simulated)" if subject.simulated else "")
        )
    return "\n".join(lines)


def _splits(subject: Subject) -> list[str]:
    # To score submissions, the test split alone is enough.
    is_test_only = subject.has_test_responses and not split_folder(subject.folder, "train").exists()
    return ["test"] if is_test_only else list(SPLITS)
