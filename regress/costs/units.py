"""What fits and ablations take, from shapes alone: of each unit its time, memory and disk."""

from collections.abc import Sequence
from dataclasses import replace

from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress.costs.ablation import ablate_costs
from regress.costs.ridge import Shape, working_memory
from regress.costs.shapes import Part, parts_of
from regress.costs.solved_models import solved_cost
from regress.costs.trials import reading_seconds, start_cost
from regress.fitting.fit import COPIES as WEIGHTS
from regress.fitting.fit import MEMORY
from regress.fitting.request import Asked
from regress.solvers.random_search import CHUNK

__all__ = ["ablate_costs", "describe", "fit_costs", "parts_of", "start_cost"]

# What CUDA itself takes.
CUDA = 500 << 20


def fit_costs(asked: Asked, rates: Rates, device: str = "cpu") -> list[list[Cost]]:
    """Say what each unit of a command takes.

    What the units of a group share, such as reading the features, is counted with the first that
    has something to fit; a process's start, `start_cost`, with none.

    Parameters
    ----------
    asked : Asked
        What is asked for; its feature spaces need not be there, what is said of them is enough.
    device : str
        Whether GPU memory is asked for: "cpu", or "cuda" with or without a number; from shapes.

    Returns
    -------
    list of list of Cost
        As `asked.units()` names them; 0 where all models are there. Of trained models the most
        that they can take, all epochs.
    """
    memory = start_cost(rates, trained=asked.estimator.streams).memory
    costs = []
    for number, units in enumerate(parts_of(asked)):
        own: list[Cost] = []
        for unit, parts in enumerate(units):
            if not any(part.n_rois for part in parts):
                own.append(Cost())
            elif asked.estimator.streams:
                from regress.costs.trained_models import training_cost

                own.append(training_cost(asked, rates, number, unit, parts))
            else:
                first = not any(one.seconds for one in own)
                own.append(solved_cost(asked, rates, parts[0], first, memory))
        shared = reading_seconds(rates, asked.groups[number], units[0])
        for place, one in enumerate(own):
            if one.seconds:
                own[place] = replace(one, seconds=one.seconds + shared)
                break
        if device.startswith("cuda"):
            own = [
                replace(one, gpu_memory=_gpu_memory(asked, parts)) if one.seconds else one
                for one, parts in zip(own, units, strict=True)
            ]
        costs.append(own)
    return costs


def _gpu_memory(asked: Asked, parts: Sequence[Part]) -> int:
    """Say what a unit takes on a GPU, from shapes."""
    n, p = max(part.n_images for part in parts), parts[0].n_features
    columns = sum(part.n_columns for part in parts)
    if asked.estimator.streams:
        batch = int(asked.estimator.get_params()["batch"])
        width = min(columns, max(1, MEMORY // (4 * WEIGHTS * p)))
        return CUDA + 4 * WEIGHTS * p * width + 4 * batch * (p + 4 * width)
    width = min(columns, max(1, MEMORY // (4 * n)))
    shape = Shape(parts[0].n_inside, p, width, asked.settings.folds)
    return CUDA + working_memory(shape) + 4 * n * (p + shape.batch)


def describe(asked: Asked, parts: Sequence[Sequence[Sequence[Part]]]) -> list[str]:
    """Say how a model will be solved or trained."""
    those = [one for units in parts for unit in units for one in unit if one.n_rois]
    if not those:
        return ["all models are there already"]
    most = max(those, key=lambda one: one.n_columns)
    parameters = asked.estimator.get_params()
    if asked.estimator.streams:
        return [
            f"trained in batches of {parameters['batch']} pictures, at most {parameters['epochs']} "
            "epochs, twice: times are at most, a training that stops early takes less"
        ]
    if asked.settings.model == "ols_pca":
        return [f"{parameters['n_components']} principal components, then least squares"]
    if "alphas" not in parameters:
        return [f"{asked.settings.model} is not known to plans: planned as ridge with one penalty"]
    shape = Shape(most.n_inside, most.n_features, most.n_columns, asked.settings.folds)
    return [
        f"{shape.form} form ({most.n_inside} pictures to search on, {most.n_features} columns), "
        f"{shape.folds} folds, {len(parameters['alphas'])} penalties; batches of up to "
        f"{shape.batch} of {most.n_columns} vertices, {CHUNK} scored at once"
    ]
