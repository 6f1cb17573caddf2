"""One name for each space, so that features are not computed again under another name.

`efficientnet_lite0`, `timm:tf_efficientnet_lite0` and `timm:tf_efficientnet_lite0/in1k@pooled` have
one key, and so the same features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from base import say
from cache import digest
from cache.feature_store import Entry
from extract.errors import ExtractError
from extract.spaces import SPACES, Spec

if TYPE_CHECKING:
    from extract.run import Prepared
    from extract.text.text_space import PreparedText

AnySpace = TypeVar("AnySpace", "Prepared", "PreparedText")


def names_by_digest(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the names of stored features, by the digest of their key."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.digest, []).append(entry.name)
    return names


def use_former_keys(
    spaces: Sequence["Prepared"], stored_names: Mapping[str, Sequence[str]]
) -> None:
    """Use the key of an earlier version for spaces whose features are stored with it.

    Fits refer to features by their keys, and stored features are not computed again.
    """
    for space in spaces:
        if digest(space.key) not in stored_names:
            former = space.former_key
            space.former = former is not None and digest(former) in stored_names


def unify_names(
    spaces: Sequence[AnySpace], stored_names: Mapping[str, Sequence[str]]
) -> list[AnySpace]:
    """Rename each space to the name of its stored features, or else to its short name."""
    names = dict(stored_names)
    for space in sorted(spaces, key=lambda space: space.spec.name not in SPACES):
        stored = names.setdefault(digest(space.key), [space.spec.name])
        if space.spec.name not in stored:
            say(f"{space.spec.name} is kept as {stored[0]}: use that name from here on")
            space.spec = replace(space.spec, name=stored[0])
    return list({(digest(space.key), space.spec.name): space for space in spaces}.values())


def check_not_imported(specs: Sequence[Spec], entries: Sequence[Entry]) -> None:
    """Check that no space to compute has the name of imported features."""
    imported = {e.name: e for e in entries if "imported" in e.meta["key"]}
    for spec in specs:
        if spec.name in imported:
            entry = imported[spec.name]
            raise ExtractError(
                f"--spaces {spec.name}: {entry.path} has this name, {entry.meta.get('origin')}; "
                "expected features of a name of their own: import them under another name, and "
                "remove that file"
            )
