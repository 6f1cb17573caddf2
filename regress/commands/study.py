"""`python -m regress.study`: fit every row of a study, with the command of each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from base import convert_paths, provenance, say
from cache import write_artifact
from challenge import SubjectChoice, chooses_all, find_subjects
from execute import choose_executor
from regress.backend import choose_devices
from regress.commands.study_fits import StudyFitter, waves
from regress.errors import RegressError
from regress.studies.rows import Row, Study, read_study


@convert_paths
def study(
    study: str,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    stand_in: list[str] = [],  # noqa: B006
    device: str = "auto",
    executor: str = "local",
    cluster: Path | None = None,
) -> None:
    """Fit every row of a study that is not there yet; `python -m evaluate study` scores them.

    What a row cannot be fitted for is said, and kept for the table; the others go on. The list of
    rows, with the fit of each, is kept in OUT/studies.

    Parameters
    ----------
    study : str
        encoders, or the path of a .yaml file of your own, made as regress/studies/encoders.yaml is.
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    stand_in : list of str
        Feature spaces that stand in for those of the study, for example clip=efficientnet_lite0.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the hemispheres of each row, a process each.
    executor : str
        local, or slurm: rows side by side in jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …
    """
    where = choose_executor(executor, cluster, "study", data)
    # What is wrong with it would be wrong in every row.
    if where.is_local:
        choose_devices(device)
    found = read_study(study)
    roles = _stand_ins(stand_in, found)
    subjects = [one.name for one in find_subjects(data, subject)]
    fitting = StudyFitter(data, out, subjects, chooses_all(subject), roles, device)
    meta: dict[str, Any] = {
        "kind": "study",
        "study": found.name,
        "about": found.about,
        "paper": found.paper,
        "subjects": subjects,
        "stand_in": roles,
    }
    told: dict[str, dict[str, Any]] = {row.name: fitting.describe_row(row) for row in found.rows}
    path = out / "studies" / f"{found.name}.h5"

    def take(row: Row, seeds: Sequence[Mapping[str, str]]) -> None:
        told[row.name] |= fitting.describe_fits(row, told, seeds)
        if told[row.name]["why"]:
            say(f"  not run: {told[row.name]['why']}")
        meta.update(rows=list(told.values()), provenance=provenance())
        write_artifact(path, {}, meta)

    for wave in waves(found.rows):
        fitting.fit_rows(where, found.name, wave, told, take)
    absent = [name for name, row in told.items() if not row["fit"]]
    say(f"{len(told) - len(absent)} of {len(told)} rows are fitted -> {path}")
    if absent:
        say(f"not run: {'; '.join(absent)}")


def _stand_ins(stand_in: Sequence[str], found: Study) -> dict[str, str]:
    asked = list(dict.fromkeys(space for row in found.rows for space in row.spaces))
    roles = {}
    for one in stand_in:
        role, equals, space = one.partition("=")
        if not (equals and space) or role not in asked:
            raise RegressError(
                f"--stand_in {one}: expected SPACE=OTHER with a space of the study, of "
                f"{', '.join(asked)}, for example {asked[0]}=efficientnet_lite0"
            )
        roles[role] = space
    return roles


EXAMPLES = [
    "python -m regress.study encoders --subject 01",
    "python -m regress.study encoders --subject 01 --stand_in clip=efficientnet_lite0",
    "python -m regress.study mine.yaml --subject all",
]
