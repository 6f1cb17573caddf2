"""Packs of encoders: all that predicts, without the training data, in one file with checksums.

A pack holds for each subject its combination of fits, `subjXX.h5`; the fitted models under `fits`,
without responses, pictures or predictions; and a model card for people.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import CacheError, digest, read_artifact, write_artifact
from cache.exchange.archive import Kind, Member, extract_archive, write_archive
from predict.combination import Combination, load_combination
from predict.errors import PredictError
from predict.packs.model_card import CARD, write_card

ENCODER = Kind(
    "roiridge encoder",
    files="files",
    maker="roiridge pack",
    layout="subjXX.h5, fits/<fit>/subjXX/<ROI>.h5 or model-card.md",
    suffixes=(".h5", ".md"),
    depth=4,
)
# Arrays of a fit's file that no prediction for other pictures needs, and what would name the
# machine and the pictures.
LEFT_OUT = (
    "heldout_rows",
    "heldout_predictions",
    "test_predictions",
    "test_spread",
    "training_pictures",
    "test_pictures",
)
PRIVATE = ("inputs", "provenance", "responses")
DTYPE = "float32"
# The prefix of repositories on the Hugging Face hub, and the name of a pack in them.
HUB, FILE = "hf:", "encoder.zip"


def pack_encoder(
    path: Path,
    out: Path,
    data: Path,
    subjects: Sequence[str],
    fits: Sequence[str] | None,
    ensemble: str,
    dtype: str,
    licence: str,
) -> dict[str, Any]:
    """Write the encoders of some subjects to one file and return its manifest."""
    _check_parent(path)
    combinations = [load_combination(out, data, name, fits, ensemble) for name in subjects]
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        for combination in combinations:
            _write_combination(folder, combination, dtype)
        write_card(folder / CARD, combinations, out, licence, dtype)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        members: list[Member] = [(str(file.relative_to(folder)), file, {}) for file in files]
        about = {"subjects": list(subjects), "dtype": dtype}
        return write_archive(path, ENCODER, members, about)


def _write_combination(folder: Path, combination: Combination, dtype: str) -> None:
    meta = {n: value for n, value in combination.meta.items() if n not in ("contents",)}
    if dtype != DTYPE:
        # Rounded coefficients predict other numbers.
        meta["digest"] = digest({"encoder": meta["digest"], "dtype": dtype})
    meta["provenance"] = {n: v for n, v in meta["provenance"].items() if n != "command"}
    write_artifact(folder / f"subj{meta['subject']}.h5", combination.arrays, meta)
    ends = np.cumsum([record["n"] for record in meta["models"]])[:-1]
    all_weights = np.split(combination.arrays["weights"], ends)
    for record, weights in zip(meta["models"], all_weights, strict=True):
        if weights.any():
            _write_model(folder, combination.fits, record["path"], dtype)


def _write_model(folder: Path, fits: Path, name: str, dtype: str) -> None:
    model, meta = read_artifact(fits / name, leave_out=LEFT_OUT)
    if "coef_" in model:
        model["coef_"] = model["coef_"].astype(dtype)
    meta = {n: value for n, value in meta.items() if n not in PRIVATE}
    (folder / "fits" / name).parent.mkdir(parents=True, exist_ok=True)
    write_artifact(folder / "fits" / name, model, meta)
    if "shared" in meta:
        shared = Path(name).parts[0], "shared", f"{meta['shared']}.h5"
        target = (folder / "fits").joinpath(*shared)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(fits.joinpath(*shared), target)


def unpack_encoder(path: Path, folder: Path) -> dict[str, Any]:
    """Extract a pack to a new folder after all of it was verified; return the manifest."""
    _check_parent(folder)
    if folder.exists():
        raise PredictError(f"{folder}: is there already; remove it, or give another with --to")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as name:
        staging = Path(name) / folder.name
        staging.mkdir()
        manifest = extract_archive(path, ENCODER, staging, _faults)
        _check_pack(path, staging)
        staging.rename(folder)
    return manifest


def _check_parent(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise PredictError(f"{path}: there is no folder {path.parent}; make it first")


def _faults(file: Path) -> Iterator[str]:
    """Yield the faults of an extracted file, whose checksums are read."""
    if file.suffix == ".h5":
        try:
            read_artifact(file)
        except CacheError as error:
            yield str(error)


def _check_pack(path: Path, folder: Path) -> None:
    files = sorted(folder.glob("subj*.h5"))
    if not files:
        raise PredictError(f"{path}: holds no subject; expected a file of `roiridge pack`")
    for file in files:
        combination = Combination(*read_artifact(file), folder / "fits")
        try:
            _check_shapes(combination)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise PredictError(
                f"{path}: {file.name} is not of an encoder ({error}); nothing was unpacked: ask "
                "for it again"
            ) from error


def _check_shapes(combination: Combination) -> None:
    """Raise a ValueError if arrays do not belong together."""
    arrays, meta = combination.arrays, combination.meta
    n_vertices = meta["n_vertices"]["lh"] + meta["n_vertices"]["rh"]
    numbers = [record["n"] for record in meta["models"]]
    rois = [arrays[f"roi.{n}"] for n in range(len(meta["rois"]))]
    for name, part in (("vertices", arrays["vertices"]), *(("roi", roi) for roi in rois)):
        _expect(part.dtype.kind == "i" and part.ndim == 1, f"{name}: found shape {part.shape}")
        _expect(not part.size or 0 <= part.min() <= part.max() < n_vertices, f"{name}: range")
    for name in ("vertices", "weights"):
        _expect(arrays[name].shape == (sum(numbers),), f"{name}: found {arrays[name].shape}")
    widths: dict[str, set[int]] = {}
    for record, weights in zip(
        meta["models"], np.split(arrays["weights"], np.cumsum(numbers)[:-1]), strict=True
    ):
        if not weights.any():
            continue
        _expect(ENCODER.accepts(f"fits/{record['path']}"), f"path {record['path']!r}")
        model, about = read_artifact(combination.fits / record["path"])
        _expect(about.get("kind") == "fit", f"{record['path']}: holds {about.get('kind')!r}")
        _expect(ENCODER.accepts(f"fits/x/shared/{about.get('shared', 'x')}.h5"), "shared weights")
        if "coef_" in model:
            width, n_columns = model["coef_"].shape
            _expect(n_columns == record["n"], f"{record['path']}: {n_columns} vertices")
            _expect(model["intercept_"].shape == (n_columns,), f"{record['path']}: intercepts")
            widths.setdefault(record["run"], set()).add(width)
    for number, run in enumerate(meta["runs"]):
        if f"readout.{number}" in arrays:
            readout: NDArray[Any] = arrays[f"readout.{number}"]
            _expect(readout.shape[1] == len(rois), f"readout: found shape {readout.shape}")
            widths.setdefault(run["name"], set()).add(readout.shape[0])
    _expect(all(len(part) == 1 for part in widths.values()), "numbers of features differ")


def _expect(holds: bool, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def is_pack(path: str | Path) -> bool:
    """Return whether a path is a pack, a folder that one was unpacked to, or "hf:USER/REPO"."""
    return str(path).startswith(HUB) or Path(path).suffix == ".zip" or (Path(path) / CARD).is_file()


def open_pack(path: str | Path, subject: str | None = None) -> Iterator[Combination]:
    """Yield the combinations of a pack, as `is_pack` knows them.

    Parameters
    ----------
    subject : str, optional
        The number of a subject; all of the pack by default.
    """
    name = str(path)
    source = _download(name.removeprefix(HUB)) if name.startswith(HUB) else Path(path)
    folder = source if source.is_dir() else _temporary(source)
    files = sorted(folder.glob("subj*.h5"))
    if subject is not None:
        names = [file.stem.removeprefix("subj") for file in files]
        if subject not in names:
            raise PredictError(f"{path}: has no subject {subject}, it has {', '.join(names)}")
        files = [folder / f"subj{subject}.h5"]
    for file in files:
        yield Combination(*read_artifact(file), folder / "fits")


# Folders of packs that this process reads without unpacking them for good.
_folders: dict[Path, tempfile.TemporaryDirectory[str]] = {}


def _temporary(path: Path) -> Path:
    key = path.resolve()
    if key not in _folders:
        folder = tempfile.TemporaryDirectory(prefix="roiridge-")
        unpack_encoder(path, Path(folder.name) / "encoder")
        _folders[key] = folder
    return Path(_folders[key].name) / "encoder"


def _download(repo: str) -> Path:
    """Return the local copy of the pack in a repository of the Hugging Face hub."""
    from networks.hub import HubFile, HubUnreachable, fetch

    try:
        return fetch(HubFile(repo, (FILE,)))
    except HubUnreachable as error:
        raise PredictError(
            f"{HUB}{repo}: no pack there: {error}; copy {FILE} here and name the file"
        ) from error


def push_pack(path: Path, repo: str) -> str:
    """Upload a pack and its card to a repository of the hub; return its address."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    from networks.hub import is_reachable

    endpoint = huggingface_hub.constants.ENDPOINT
    if not is_reachable(endpoint):
        raise PredictError(
            f"--push {repo}: not uploaded ({endpoint} cannot be reached); {path} is whole: copy it "
            "to a machine with internet, or try again"
        )
    try:
        api = huggingface_hub.HfApi()
        with zipfile.ZipFile(path) as archive:
            card = archive.read(CARD)
        url = str(api.create_repo(repo, exist_ok=True))
        api.upload_file(path_or_fileobj=path, path_in_repo=FILE, repo_id=repo)
        api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo)
    except (OSError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PredictError(
            f"--push {repo}: not uploaded ({reason}); {path} is whole: try again after "
            "`hf auth login`"
        ) from error
    return url
