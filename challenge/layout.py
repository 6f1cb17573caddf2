"""The layout of the challenge's directory, and the names of the regions."""

import re
from pathlib import Path

from base import choose_from
from challenge.errors import DataError

HEMISPHERES = ("lh", "rh")

# The name of label k has index k - 1; label 0 is "Unknown".
ROI_CLASSES: dict[str, tuple[str, ...]] = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral",
                "parietal"),
}  # fmt: skip

SPLITS = {"train": "training", "test": "test"}
N_FSAVERAGE = 163_842
N_NSD = 73_000
SIMULATION = "simulation.json"
# Compared in lower case.
PICTURE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
FOLDER_NAME = re.compile(r"subj([0-9]+)")


def split_folder(folder: Path, split: str) -> Path:
    """Return the folder of the training or the test split."""
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: {choose_from(split, SPLITS)}")
    return folder / f"{SPLITS[split]}_split"


def pictures_folder(folder: Path, split: str) -> Path:
    """Return the folder of the pictures of a split."""
    return split_folder(folder, split) / f"{SPLITS[split]}_images"


def responses_file(folder: Path, hemisphere: str, split: str) -> Path:
    """Return the file of the measured responses."""
    if hemisphere not in HEMISPHERES:
        raise DataError(
            f"unknown hemisphere {hemisphere!r}: {choose_from(hemisphere, HEMISPHERES)}"
        )
    kind = f"{SPLITS.get(split)}_fmri"
    return split_folder(folder, split) / kind / f"{hemisphere}_{kind}.npy"


def ceiling_file(folder: Path, hemisphere: str, split: str) -> Path:
    """Return the file of the noise ceilings."""
    return split_folder(folder, split) / "noise_ceiling" / f"{hemisphere}_noise_ceiling.npy"


def vertices_file(folder: Path, hemisphere: str) -> Path:
    """Return the mask on fsaverage, (163842,), nonzero where a vertex is a column of responses."""
    return folder / "roi_masks" / f"{hemisphere}.all-vertices_fsaverage_space.npy"


def labels_file(folder: Path, hemisphere: str, roi_class: str, space: str = "challenge") -> Path:
    """Return the label map of a class: per column of responses, or per vertex of "fsaverage"."""
    return folder / "roi_masks" / f"{hemisphere}.{roi_class}_{space}_space.npy"


def mapping_file(folder: Path, roi_class: str) -> Path:
    """Return the file of the names of labels: a 0-d object array, a pickled dict of int to str."""
    return folder / "roi_masks" / f"mapping_{roi_class}.npy"
