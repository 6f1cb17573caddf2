"""`python -m regress.study`: fit every row of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base import convert_paths, provenance, say
from challenge import SubjectChoice, chooses_all, find_subjects
from regress.errors import RegressError

if TYPE_CHECKING:
    from regress.studies.rows import Row, Study


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
    """Fit every missing row of a study; `python -m evaluate study` scores them.

    If a row cannot be fitted, the reason is printed and saved for the table, and the other rows are
    fitted. The list of rows and their fits is saved in OUT/studies.

    Parameters
    ----------
    study : str
        encoders, or the path of a .yaml file in the format of regress/studies/encoders.yaml.
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of all results.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    stand_in : list of str
        Feature spaces that stand in for those of the study, for example clip=efficientnet_lite0.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the hemispheres of each row, one process each.
    executor : str
        local, or slurm to fit rows in parallel jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …
    """
    # scikit-learn and himalaya take seconds to import, which would delay --help and Ctrl-C.
    from cache import write_artifact
    from execute import choose_executor
    from regress.backend import choose_devices
    from regress.commands.study_fits import StudyFitter, waves
    from regress.studies.rows import read_study

    runner = choose_executor(executor, cluster, "study", data)
    # A fault in --device would stop every row, so it is reported first.
    if runner.is_local:
        choose_devices(device)
    definition = read_study(study)
    roles = _stand_ins(stand_in, definition)
    subjects = [s.name for s in find_subjects(data, subject)]
    fitting = StudyFitter(data, out, subjects, chooses_all(subject), roles, device)
    meta: dict[str, Any] = {
        "kind": "study",
        "study": definition.name,
        "about": definition.about,
        "paper": definition.paper,
        "subjects": subjects,
        "stand_in": roles,
    }
    entries: dict[str, dict[str, Any]] = {
        row.name: fitting.describe_row(row) for row in definition.rows
    }
    path = out / "studies" / f"{definition.name}.h5"

    def record(row: "Row", seeds: Sequence[Mapping[str, str]]) -> None:
        entries[row.name] |= fitting.describe_fits(row, entries, seeds)
        if entries[row.name]["why"]:
            say(f"  not run: {entries[row.name]['why']}")
        meta.update(rows=list(entries.values()), provenance=provenance())
        write_artifact(path, {}, meta)

    for wave in waves(definition.rows):
        fitting.fit_rows(runner, definition.name, wave, entries, record)
    absent = [name for name, row in entries.items() if not row["fit"]]
    say(f"{len(entries) - len(absent)} of {len(entries)} rows are fitted -> {path}")
    if absent:
        say(f"not run: {'; '.join(absent)}")


def _stand_ins(stand_in: Sequence[str], study: "Study") -> dict[str, str]:
    spaces = list(dict.fromkeys(space for row in study.rows for space in row.spaces))
    roles = {}
    for item in stand_in:
        role, equals, space = item.partition("=")
        if not (equals and space) or role not in spaces:
            raise RegressError(
                f"--stand_in {item}: expected SPACE=OTHER with a space of the study, of "
                f"{', '.join(spaces)}, for example {spaces[0]}=efficientnet_lite0"
            )
        roles[role] = space
    return roles


EXAMPLES = [
    "python -m regress.study encoders --subject 01",
    "python -m regress.study encoders --subject 01 --stand_in clip=efficientnet_lite0",
    "python -m regress.study mine.yaml --subject all",
]
