"""Stage 1 as a whole: every space of every picture, each computed once."""

from collections.abc import Sequence
from pathlib import Path

from base import say
from cache import FeatureStore
from challenge import Subject, find_subjects
from extract.backbone import choose_device
from extract.errors import ExtractError
from extract.run import extract_space, prepare
from extract.spaces import Spec, resolve
from extract.weights import Request


def compute_features(
    data: Path,
    out: Path,
    subject: str,
    spaces: Sequence[str],
    weights: Sequence[str],
    device: str,
    precision: str,
) -> None:
    """Compute the feature spaces of all pictures, training and test, that have none yet.

    Parameters
    ----------
    data, out, subject, spaces, weights, device, precision
        As for `python -m extract`.

    Raises
    ------
    ExtractError
        If no space is named, or one cannot be computed.
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
    # All networks first: weights that cannot be had are known before hours of work, not after.
    ready = [prepare(spec, requests[spec.name], chosen, precision) for spec in specs]
    for prepared in ready:
        say(f"{prepared.spec.name}: weights from {prepared.backbone.origin}")
    for prepared in ready:
        spec = prepared.spec
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
