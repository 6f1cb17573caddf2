"""The resources of jobs: a YAML file, with sections for stages that need other settings."""

import reprlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from base import DocumentError, read_yaml
from execute.errors import ExecuteError

STAGES = ("features", "fit", "ablate", "study", "evaluate")


# Options of sbatch that have a setting of their own.
SETTING_NAMES = {
    "partition": "partition", "account": "account", "time": "time", "mem": "memory",
    "mem-per-cpu": "memory", "cpus-per-task": "cpus", "gpus": "gpus", "gpus-per-node": "gpus",
    "array": "at_once", "signal": "time", "requeue": "retries", "no-requeue": "retries",
}  # fmt: skip


class Resources(BaseModel):
    """The resources of the jobs of a stage, and how its work is divided among them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Names in Slurm; by default Slurm's own defaults.
    partition: str | None = None
    account: str | None = None
    # Time limit of a job in minutes. 90 s before, it is signalled to stop; started again, it goes
    # on where it was.
    time: int = Field(default=60, ge=3)
    memory: float | None = Field(default=None, ge=0.01, allow_inf_nan=False)  # gigabytes of a job
    cpus: int = Field(default=1, gt=0)  # of a job, and threads of its libraries
    gpus: int = Field(default=0, ge=0)
    setup: list[str] = []  # shell commands before the work, such as "module load cuda"
    options: dict[str, str | bool] = {}  # further ones of sbatch, such as {"qos": "preempt"}
    # Planned length of a job: units are packed into jobs of about this time.
    minutes: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    at_once: int = Field(default=64, gt=0)  # largest number of jobs that run at the same time
    # How often a job that was lost, or reached its time limit, is started again automatically.
    retries: int = Field(default=3, ge=0)

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, str]) -> dict[str, str | bool]:
        for name in options:
            setting = SETTING_NAMES.get(name.replace("_", "-"))
            if setting:
                raise ValueError(f"{name} is set by `{setting}`")
        # `exclusive: true` is the bare --exclusive.
        return {n: v == "true" or v for n, v in options.items() if v != "false"}

    def for_submitit(self) -> dict[str, Any]:
        """Return the settings under the names that submitit uses."""
        # The libraries would start a thread for each processor of the node.
        threads = [
            f"export {name}={self.cpus}" for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
        ]
        settings = {
            "partition": self.partition,
            "account": self.account,
            "mem": f"{round(self.memory * 1024)}M" if self.memory else None,
            "gpus_per_node": self.gpus or None,
            "additional_parameters": dict(self.options) or None,
        }
        return {
            **{name: value for name, value in settings.items() if value is not None},
            "time": self.time,
            "cpus_per_task": self.cpus,
            "setup": [*threads, *self.setup],
            "array_parallelism": self.at_once,
            "stderr_to_stdout": True,
        }


def read_cluster(path: Path | None, stage: str) -> Resources:
    """Read the resources of a stage's jobs from a YAML file; without one, return the defaults.

    The file has the fields of `Resources`, for all stages, and sections that are named after stages
    and override them.
    """
    if path is None:
        return Resources()
    document = _check_mapping(path, _read(path), "")
    common = {name: value for name, value in document.items() if name not in STAGES}
    _build_resources(path, common, "all stages")
    # Check every section now, so that a mistake does not wait until its stage is run.
    sections = {
        name: _check_mapping(path, document.get(name) or {}, f"{name}: ") for name in STAGES
    }
    return {name: _build_resources(path, common | sections[name], name) for name in STAGES}[stage]


def _read(path: Path) -> Any:
    try:
        # All values are text here, and become numbers where one is expected: YAML itself takes
        # 1:30 for 90.
        return read_yaml(path, lambda text: yaml.load(text, Loader=yaml.BaseLoader))
    except FileNotFoundError as error:
        raise ExecuteError(
            f"--cluster {path}: there is no such file; expected a YAML file with partition, time, "
            "memory, cpus, gpus, account, setup ..., and sections of those for "
            f"{', '.join(STAGES)}"
        ) from error
    except OSError as error:
        raise ExecuteError(f"--cluster {path}: expected a YAML file: {error}") from error
    except DocumentError as error:
        raise ExecuteError(
            f"--cluster {error}; expected names and values in YAML, such as `memory: 16`"
        ) from error


def _check_mapping(path: Path, mapping: Any, prefix: str) -> dict[str, Any]:
    """Check that a document or section is a mapping; return its entries that have a value."""
    if not isinstance(mapping, dict):
        raise ExecuteError(
            f"--cluster {path}: {prefix}expected names and values, such as `memory: 16`, found "
            f"{reprlib.repr(mapping)}"
        )
    return {name: value for name, value in mapping.items() if value != ""}


def _build_resources(path: Path, settings: dict[str, Any], stage: str) -> Resources:
    try:
        return Resources(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        choices = (
            f"; known are {', '.join(Resources.model_fields)}, and sections {', '.join(STAGES)}"
        )
        unknown = first["type"] == "extra_forbidden"
        message = first["msg"].removeprefix("Value error, ")
        reason = f"unknown{choices}" if unknown else f"{message}, found {first['input']!r}"
        unit = {"time": ", in minutes", "memory": ", in gigabytes"}.get(name, "")
        raise ExecuteError(f"--cluster {path}: {name}{unit} (for {stage}): {reason}") from error
