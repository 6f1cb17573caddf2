"""Data models of the JSON files of a run, checked when a file is read."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Record(BaseModel):
    # Later revisions may write more.
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class PlannedCost(_Record):
    """The planned cost of a unit."""

    seconds: float
    memory: float


class RunRecord(_Record):
    """`run.json`: the request."""

    stage: str
    label: str
    date: str = Field(alias="asked")
    groups: list[list[str]]
    planned: list[list[PlannedCost]] | None = None

    @model_validator(mode="after")
    def _check_planned(self) -> Self:
        if self.planned is not None and list(map(len, self.planned)) != list(map(len, self.groups)):
            raise ValueError("planned: expected a cost for each unit")
        return self


class UnitRecord(_Record):
    """`<group>.<unit>.json`: the state of a unit."""

    state: Literal["running", "done", "failed", "interrupted"]
    host: str = ""
    job: str = ""
    reason: str = ""
    log: str = ""
    seconds: float | None = None
    memory: float | None = None

    @model_validator(mode="after")
    def _check_cost(self) -> Self:
        if self.state == "done" and (self.seconds is None or self.memory is None):
            raise ValueError("a unit that is done lacks seconds or memory")
        return self


class JobRecord(_Record):
    """A job that is being followed."""

    number: str
    pieces: list[tuple[int, tuple[int, ...]]]
    tries: int


class FailedRecord(_Record):
    """A job that failed."""

    number: str
    units: list[str]
    reason: str
    node: str
    log: str


class JobsRecord(_Record):
    """`jobs.json`: the jobs of a run."""

    jobs: list[JobRecord] = []
    failed: list[FailedRecord] = []
    limits: dict[Literal["memory", "time"], Any] = Field(default={}, alias="asked")


class RatesRecord(_Record):
    """A file of rates that were measured on a machine."""

    date: str
    versions: dict[str, str]
    rates: dict[str, dict[str, float]]


SHAPES: dict[str, type[_Record]] = {"run.json": RunRecord, "jobs.json": JobsRecord}
