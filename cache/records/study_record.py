"""The record of a study: `OUT/studies/<name>.h5`, its rows with their fits."""

from typing import Any, Literal, NotRequired, TypedDict

# Fields whose names the files keep.
_RowNames = TypedDict("_RowNames", {"asked": list[str], "why": str})  # noqa: UP013


class StudyRow(_RowNames):
    """A row of a study: a model as it was requested, and its fits.

    `asked` are the study's own spaces, before stand-ins, and `why` is the reason for no fit.
    """

    name: str
    model: str
    spaces: list[str]
    group_by: str
    params: dict[str, Any]
    loss: str | None
    optimiser: str | None
    trained_on: Any
    start: str | None
    images: int | str | None
    paper: str
    fit: str  # folder of the first seed; empty if there is none
    command: str
    pretrained: NotRequired[str]
    discriminators: NotRequired[Any]
    seeds: NotRequired[int]  # 0 for a model that depends on none
    against: NotRequired[str]  # the row to compare with
    fits: NotRequired[list[str]]  # folders, one for each seed


class StudyRecord(TypedDict):
    """A study and its rows."""

    kind: Literal["study"]
    study: str
    about: str
    paper: str
    stand_in: dict[str, str]
    rows: list[StudyRow]
    subjects: NotRequired[list[str]]
    provenance: NotRequired[dict[str, Any]]
