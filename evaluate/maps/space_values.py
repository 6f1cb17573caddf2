"""Values of each feature space at every vertex: from an ablation, or from fits on one space."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from challenge import HEMISPHERES, Subject
from evaluate.arrays import Array
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import Run
from evaluate.fits.up_to_date import ablation_inputs
from evaluate.maps.ablation_values import read_ablation
from evaluate.scoring.vertex_files import read_current_vertices

PICTURES = {"test": "test", "heldout": "held-out"}
# For each feature space and hemisphere, a value for each column of the responses.
BySpace = dict[str, dict[str, Array]]


def read_space_values(inputs: Inputs, subject: Subject) -> tuple[BySpace, BySpace, str]:
    """Return r of each space alone, the part of R^2 that only it explains, and the source in words.

    Both are by space and hemisphere, arrays (n_vertices,). They are read from an ablation of the
    same data. Without one, runs on a single space are compared, and the unique parts are empty.
    """
    alone: BySpace = defaultdict(dict)
    unique: BySpace = defaultdict(dict)
    splits: set[str] = set()
    for h in HEMISPHERES:
        ablation = read_ablation(inputs.out, subject.name, h, ablation_inputs(subject, h))
        if ablation is None:
            continue
        splits.add(PICTURES[ablation.split])
        for space, values in ablation.alone.items():
            alone[space][h] = values
        for space, values in ablation.unique.items():
            unique[space][h] = values
    if len(alone) > 1:
        return alone, unique, f"ablation with ridge, {' and '.join(sorted(splits))} pictures"
    singles = single_space_runs(inputs.runs, subject.name)
    by_space = {
        run.joined: read_current_vertices(inputs, run.name, subject.name) for run in singles
    }
    alone = {space: vertices.field("r") for space, vertices in by_space.items()}
    pictures = {PICTURES[vertices.meta["split"]] for vertices in by_space.values()}
    model = singles[0].model if singles else ""
    return alone, unique, f"{model} on each space alone, {' and '.join(sorted(pictures))} pictures"


def single_space_runs(runs: Sequence[Run], subject: str) -> list[Run]:
    """Return runs that differ by their space alone, to compare spaces by.

    They are of the model that was fitted on most spaces alone: one run for each space, the first if
    there are several.
    """
    by_model: dict[str, dict[str, Run]] = defaultdict(dict)
    for run in runs:
        if len(run.spaces) == 1 and subject in run.subjects:
            by_model[run.model].setdefault(run.joined, run)
    return list(max(by_model.values(), key=len).values()) if by_model else []


def describe_sources(sources: Mapping[str, str]) -> str:
    """Return the source of the spaces' values; if sources differ, each with its subjects."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for subject, source in sources.items():
        by_source[source].append(subject)
    if len(by_source) == 1:
        return next(iter(by_source))
    return "; ".join(f"{source} (subject{'s' * (len(names) > 1)} {', '.join(names)})"
                     for source, names in by_source.items())  # fmt: skip
