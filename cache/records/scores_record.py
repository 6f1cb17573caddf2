"""The record of a file of vertices: `OUT/vertices/<run>/subjXX.h5`."""

from typing import Any, Literal, NotRequired, TypedDict


class ScoresRecord(TypedDict):
    """What the scores of every vertex of a run and subject are of."""

    kind: Literal["vertices"]
    run: str
    split: str
    model: NotRequired[str]  # as in scores.csv
    spaces: NotRequired[str]
    subject: NotRequired[str]
    n_pictures: NotRequired[int]
    fits: NotRequired[str]  # digest of the records of the fits
    inputs: NotRequired[str]  # digest of the contents of the fits and of the data
    simulated: NotRequired[bool]
    untrained: NotRequired[list[str]]
    permutations: NotRequired[int]
    seed: NotRequired[int]
    key: NotRequired[str]  # digest of all that the arrays depend on
    means: NotRequired[dict[str, Any]]  # the row `all` of scores.csv
    provenance: NotRequired[dict[str, Any]]
