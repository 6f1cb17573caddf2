"""The records of ablations: a subset's scores, and the last call of `make ablate`."""

from typing import Any, Literal, NotRequired, TypedDict


class AblationRecord(TypedDict):
    """Scores of ridge on one subset of the spaces: `OUT/ablations/subjXX/<hemisphere>-….h5`."""

    kind: Literal["ablation"]
    spaces: list[str]
    key: dict[str, Any]
    provenance: dict[str, Any]
    parts: NotRequired[list[list[Any]]]  # ROI class, ROI and number of vertices


class AblationsRecord(TypedDict):
    """The last call of `make ablate`: `OUT/ablations/last.h5`."""

    kind: Literal["ablations"]
    spaces: list[str]
    subsets: list[list[int]]  # numbers of spaces; the last subset has all
    split: str
    settings: dict[str, Any]
    files: dict[str, dict[str, list[str]]]  # by subject and hemisphere, in the order of the subsets
    untrained: list[str]
    key: NotRequired[dict[str, Any]]
    provenance: NotRequired[dict[str, Any]]
