"""The record of a fit: `OUT/fits/<model>-<digest>/subjXX/<hemisphere>.<ROI>.h5`."""

from typing import Any, Literal, NotRequired, TypedDict


class FitSettings(TypedDict, total=False):
    """Settings of a fit; those at the value that the first fits had are absent."""

    model: str
    parameters: dict[str, Any] | None  # those that the user set
    defaults: dict[str, Any]  # the estimator's other parameters
    heldout: float
    folds: int
    seed: int
    group_by: str
    subjects: list[str]  # trained together
    images: int | None
    start: str  # digest of the fit that the training began from


class TrainingRecord(TypedDict, total=False):
    """Size and duration of a fit, and the pictures that its start had seen."""

    parameters: int  # of all vertices that share any with these
    shared_parameters: int  # of the whole training
    epochs: int | None
    seconds_per_epoch: dict[str, float | None]  # by training; None where it is solved
    start_tested: int  # test pictures that the start was trained on


class FitRecord(TypedDict):
    """The model of one ROI, with its settings, inputs and provenance."""

    kind: Literal["fit"]
    model: str
    digest: str  # of settings and features
    spaces: list[str]
    untrained: list[str]  # spaces, and networks within the model, of random weights
    subject: str
    hemisphere: str
    roi_class: str
    roi: str
    responses: str  # sha256 of the training responses
    settings: NotRequired[FitSettings]
    seed: NotRequired[int]
    keys: NotRequired[dict[str, str]]  # of the feature spaces
    simulated: NotRequired[bool]
    group: NotRequired[str]
    training: NotRequired[TrainingRecord]
    shared: NotRequired[str]  # file of weights that several ROIs share
    inputs: NotRequired[dict[str, Any]]
    provenance: NotRequired[dict[str, Any]]
