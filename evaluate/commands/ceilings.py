"""`python -m evaluate ceilings`: noise ceilings from NSD's ncsnr, or from repeated trials."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def ceilings(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    ncsnr: str | None = None,
    repeats: str | int | None = None,
    trials: str | None = None,
    estimator: str = "nsd",
    split: str = "test",
    subject: SubjectChoice = "all",
    splits: int = 100,
    seed: int = 0,
) -> None:
    """Write noise ceilings to OUT/ceilings, where `scores` finds them; DATA is not changed.

    They are computed from NSD's ncsnr and the number of repeats, or estimated from single trials.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder.
    ncsnr : str, optional
        NSD's files, .mgh, .mgz or .npy, of fsaverage's or the challenge's vertices:
        "nsd/subj{subject}/{hemisphere}.ncsnr.mgh", where {subject} is 01 and so on.
    repeats : str or int, optional
        How often the pictures were shown, with --ncsnr: a number for all; a CSV of
        nsd_id,repeats; or NSD's nsd_stim_info_merged.csv. The name may contain {subject}.
    trials : str, optional
        Single-trial responses instead, "trials/subj{subject}_{hemisphere}.npy": pictures in the
        order of their files x trials x vertices; NaN for a missing trial.
    estimator : str
        How to estimate from trials: "nsd", by variances, or "split_half", by Spearman and Brown's
        formula.
    split : str
        The pictures that the ceilings are for: "test", or "train", for held-out ones.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    splits : int
        Random halves that split_half averages over.
    seed : int
        Seed of the halves.

    Raises
    ------
    EvaluateError
        If not exactly one source is given, a value is unknown, or trials are of other pictures.
    """
    from evaluate.fits.compute_ceilings import compute_ceilings

    compute_ceilings(data, out, ncsnr, repeats, trials, estimator, split, subject, splits, seed)
