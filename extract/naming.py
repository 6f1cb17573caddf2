"""One space, one name: what is kept under a name is not computed again under another.

`efficientnet_lite0`, `timm:tf_efficientnet_lite0` and `timm:tf_efficientnet_lite0/in1k@pooled` have
one key, and so the same features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from base import say
from cache import digest
from cache.feature_store import Entry
from extract.errors import ExtractError
from extract.spaces import SPACES, Spec


class Space(Protocol):
    """What has a name and a key."""

    spec: Spec

    @property
    def key(self) -> dict[str, Any]:
        """All that changes the numbers."""


class Computed(Space, Protocol):
    """A space whose features an earlier version may have kept under another key."""

    former: bool

    @property
    def former_key(self) -> dict[str, Any] | None:
        """That key, if there was another."""


AnySpace = TypeVar("AnySpace", bound=Space)


def names_by_digest(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Give the names under which features are kept."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.digest, []).append(entry.name)
    return names


def take_former_keys(spaces: Sequence[Computed], kept: Mapping[str, Sequence[str]]) -> None:
    """Let spaces go on under the key of an earlier version where features have it.

    Fits refer to features by their keys, and nothing is computed twice.
    """
    for space in spaces:
        if digest(space.key) not in kept:
            former = space.former_key
            space.former = former is not None and digest(former) in kept


def name_once(spaces: Sequence[AnySpace], kept: Mapping[str, Sequence[str]]) -> list[AnySpace]:
    """Call each space by the name it is kept under, or else by its short one."""
    names = dict(kept)
    for space in sorted(spaces, key=lambda space: space.spec.name not in SPACES):
        known = names.setdefault(digest(space.key), [space.spec.name])
        if space.spec.name not in known:
            say(f"{space.spec.name} is kept as {known[0]}: use that name from here on")
            space.spec = replace(space.spec, name=known[0])
    return list({(digest(space.key), space.spec.name): space for space in spaces}.values())


def refuse_imported(specs: Sequence[Spec], entries: Sequence[Entry]) -> None:
    """Refuse to compute a space whose name was given to numbers from elsewhere."""
    imported = {e.name: e for e in entries if "imported" in e.meta["key"]}
    for spec in specs:
        if spec.name in imported:
            entry = imported[spec.name]
            raise ExtractError(
                f"--spaces {spec.name}: {entry.path} has this name, {entry.meta.get('origin')}; "
                "expected features of a name of their own: import them under another name, and "
                "remove that file"
            )
