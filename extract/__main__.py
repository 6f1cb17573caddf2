"""`python -m extract`: stage 1, pictures to feature spaces."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from base import say
from base.command import run
from cache import FeatureStore
from challenge import Subject, find_subjects
from extract.backbone import choose_device
from extract.errors import ExtractError
from extract.run import extract_space, prepare
from extract.spaces import Spec, resolve
from extract.weights import Request


def extract(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str = "all",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    weights: list[str] = [],  # noqa: B006
    device: str = "auto",
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
) -> None:
    """Compute the feature spaces of all pictures, training and test, that have none yet.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made.
    subject : str
        A subject's number, or "all".
    spaces : list of str
        Feature spaces: clip, alexnet, sam, efficientnet_lite0, any timm model by name, or
        family:model/weights@layer#pooling~columns.
    weights : list of str
        SPACE=FILE to take weights from a file, SPACE=random:SEED for untrained ones.
    device : str
        auto (a GPU if there is one), cpu, cuda, cuda:N or mps.
    precision : str
        float32, or autocast in bfloat16 or float16; it is part of the features' key.

    Raises
    ------
    ExtractError
        If no space is named.
    """
    if not spaces:
        raise ExtractError("--spaces: none given; for example --spaces clip alexnet")
    specs = [resolve(name) for name in dict.fromkeys(spaces)]
    requests = _requests(specs, weights)
    subjects = find_subjects(data, subject)
    chosen = choose_device(device)
    pictures = _pictures(subjects)
    say(f"{len(pictures)} pictures of {len(subjects)} subjects on {chosen.type}")
    store = FeatureStore(out / "features")
    for spec in specs:
        prepared = prepare(spec, requests[spec.name], chosen, precision)
        say(f"{spec.name}: weights from {prepared.backbone.origin}")
        computed = extract_space(prepared, pictures, store)
        path = store.path(spec.name, prepared.key)
        skipped = len(pictures) - computed
        say(f"{spec.name}: {computed} pictures computed, {skipped} there already -> {path}")


def _requests(specs: Sequence[Spec], weights: Sequence[str]) -> dict[str, Request]:
    given = {}
    for item in weights:
        name, separator, value = item.partition("=")
        fitting = [spec.name for spec in specs if name in (spec.name, spec.model)]
        if not separator or not value or not fitting:
            raise ExtractError(
                f"--weights {item}: expected SPACE=FILE or SPACE=random:SEED with a space from "
                f"{', '.join(spec.name for spec in specs)}"
            )
        given.update(dict.fromkeys(fitting, value))
    return {spec.name: Request(spec.name, given.get(spec.name)) for spec in specs}


def _pictures(subjects: Sequence[Subject]) -> list[tuple[str, Path]]:
    """List each picture once, however many subjects saw it."""
    once: dict[str, Path] = {}
    for subject in subjects:
        for split in ("train", "test"):
            digests = subject.picture_digests(split)
            for digest, path in zip(digests, subject.pictures(split), strict=True):
                once.setdefault(digest, path)
    return list(once.items())


EXAMPLES = [
    "python -m extract --data data --spaces clip alexnet sam",
    "python -m extract --spaces sam --weights sam=sam_vit_b.safetensors --precision bfloat16",
]

if __name__ == "__main__":
    sys.exit(run(extract, "extract", EXAMPLES))
