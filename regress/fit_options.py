"""The options of a fit, which its command, its forecast and its request share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from challenge import SubjectChoice


@dataclass(frozen=True)
class FitOptions:
    """What to fit, on what, and where.

    Attributes
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of all results.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    model : str
        ols_pca, ridge, banded_ridge or stacked_ridge; or linear, mlp, conv1d, positional,
        shallow, unet, vit or diffusion, which are trained.
    spaces : list of str
        Feature spaces, computed before with `python -m extract`; banded and stacked ridge take
        each as a band.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the subjects' hemispheres, one process each.
    heldout : float
        Share of the training pictures that are held out to score the models.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Seed of the held-out pictures and of the folds.
    group_by : str
        Vertices that choose or train together: roi, roi-both-hemispheres, class,
        class-both-hemispheres, hemisphere or brain. It changes nothing for a model that chooses
        for each vertex alone, as ridge does unless --params.scope roi is given.
    params : dict
        Parameters of the model, for example --params.n_iter 50.
    subjects : list of str
        Numbers of subjects to train together, or all; in place of --subject, for trained models.
        They share the weights of each group of vertices, and each subject has its own readouts.
    start : Path
        A fit of the same model, of these or other subjects, that the training begins from: its
        folder, its name, or the beginning of its folder's name; followed by /subj01 where several
        subjects were fitted, each alone. --params.freeze true trains only the weights of single
        vertices.
    images : int
        Number of training pictures of each subject to fit on, the first that are not held out; all
        by default.
    """

    data: Path = Path("data")
    out: Path = Path("derivatives")
    subject: SubjectChoice = "all"
    model: str = "banded_ridge"
    spaces: list[str] = field(default_factory=lambda: ["clip", "alexnet", "sam"])
    device: str = "auto"
    heldout: float = 0.1
    folds: int = 5
    seed: int = 0
    group_by: str = "roi"
    params: dict[str, Any] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)
    start: Path | None = None
    images: int | None = None
