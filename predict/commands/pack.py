"""`python -m predict pack` and `unpack`: share encoders."""

from pathlib import Path
from typing import Literal

from base import convert_paths, plural, say
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@convert_paths
def pack(
    file: Path,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    fits: list[str] | None = None,
    ensemble: str = DEFAULT,
    dtype: Literal["float32", "float16"] = "float32",
    licence: str = "",
    push: str = "",
) -> None:
    """Write fitted encoders to one file that predicts without the training data.

    Parameters
    ----------
    file : Path
        The zip to write.
    data : Path
        The challenge's directory; read only the first time, to weigh the fits.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", or one or several ("01 02"); those with fits.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`, combined as in the submission.
        All by default.
    ensemble : str
        The rule of the weights of several fits: average, per_roi, per_vertex or stacked.
    dtype : str
        Type of the coefficients of linear models: float32, or float16 for half the size.
    licence : str
        Licence of the pack, for its model card.
    push : str
        A repository of the Hugging Face hub, USER/REPO, that the pack is uploaded to.

    Raises
    ------
    PredictError
        If there are no fits, or the hub takes no upload.
    CacheError
        If the file is there already.
    """
    from predict.outputs import fitted_subjects
    from predict.packs.model_card import CARD
    from predict.packs.pack import pack_encoder, push_pack

    subjects = fitted_subjects(out, data, subject, fits)
    manifest = pack_encoder(file, out, data, subjects, fits, ensemble, dtype, licence)
    n_files = len(manifest["files"])
    say(
        f"{plural(len(subjects), 'subject')}, {plural(n_files, 'file')} with {CARD}, "
        f"{file.stat().st_size / 1e6:.1f} MB -> {file}"
    )
    if push:
        say(f"{file} -> {push_pack(file, push)}")


@convert_paths
def unpack(file: Path, to: Path | None = None) -> Path:
    """Verify a file that `pack` wrote, and extract it to a folder that `load_encoder` takes.

    Parameters
    ----------
    file : Path
        A file that `pack` wrote.
    to : Path, optional
        The folder; by default that of the file with its name.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CacheError
        If the file is damaged, or not a pack; nothing is extracted.
    PredictError
        If the folder is there already, or arrays do not belong together.
    """
    from predict.packs.pack import unpack_encoder

    folder = file.with_suffix("") if to is None else to
    unpack_encoder(file, folder)
    say(f"{file}: verified -> {folder}")
    return folder
