"""The rules of the ensemble, with and without a selection of members, on simulations.

`python -m benchmarks.ensemble` mixes models that are good, useless, loud, alike, near-duplicates or
complementary (what has memorised its training pictures is useless on others) and prints, for each
mixture, by how much r on new pictures falls short of the better, in hindsight, of the plain average
and the best model: positive where it is more. Signals, noise and errors are shared among vertices
in part, as responses are. The figures in `evaluate/ensembles/per_vertex.py` are of this.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluate import correlation
from evaluate.ensembles import per_roi, per_vertex, stacked
from evaluate.scoring.ensemble import split_pictures
from evaluate.scoring.member_selection import Fold, select_members

Floats = NDArray[np.float64]
# Of each model: how much it sees of two signals, its error, and how loud it is.
MIXTURES = {
    "useless": [(1, 1, 0.7, 1), (0, 0, 1, 1)],
    "loud": [(1, 1, 0.7, 1), (0, 0, 1, 5)],
    "alike": [(0.7, 0.7, 0.7, 1)] * 5,
    "5 and 3 bad": [(0.7, 0.7, 0.7, 1)] * 5 + [(0.4, 0.4, 1.2, 1)] * 3,
    "1 of 6": [(1, 1, 0.7, 1)] + [(0.1, 0.1, 0.7, 1)] * 5,
    "falling": [(1, 1, 0.7, 1), (0.7, 0.7, 0.7, 0.5), (0.4, 0.4, 0.7, 2), (0.1, 0.1, 0.7, 1)],
    "complements": [(1, 0, 0.5, 1), (0, 1, 0.5, 1)],
    "duplicates": [(1, 0, 0.5, 1)] * 4 + [(0, 1, 0.5, 1)],
}
RULES = ("average", "per_roi", "per_vertex", "stacked")
SIGNAL, NOISE = 0.6, (1.0, 2.5)
VERTICES, NEW, DATASETS = 100, 600, {30: 12, 900: 4}


def _draw(rng: np.random.Generator, n: int) -> Floats:
    """Draw columns of variance 1, half of which eight common components make up."""
    common = rng.standard_normal((n, 8)) @ rng.standard_normal((8, VERTICES)) / np.sqrt(8)
    return np.asarray(np.sqrt(0.5) * (common + rng.standard_normal((n, VERTICES))))


def simulate(mixture: str, n: int, noise: float, seed: int) -> tuple[Floats, list[Floats]]:
    """Simulate responses, and predictions of them.

    Parameters
    ----------
    mixture : str
        A key of `MIXTURES`.
    n : int
        How many pictures.
    noise : float
        Of the responses.
    seed : int
        Of all that is drawn.

    Returns
    -------
    responses : array (n, n_vertices)
        The responses.
    predictions : list of array (n, n_vertices)
        Those of each model; the errors of "duplicates" are nearly the same.
    """
    rng = np.random.default_rng([seed, n, list(MIXTURES).index(mixture), int(10 * noise)])
    first, second = _draw(rng, n), _draw(rng, n)
    y = SIGNAL * (first + second) / np.sqrt(2) + noise * _draw(rng, n)
    models, errors = [], [_draw(rng, n) for _ in MIXTURES[mixture]]
    for number, (a, b, spread, loudness) in enumerate(MIXTURES[mixture]):
        error = errors[number]
        if mixture == "duplicates" and 0 < number < 4:
            error = 0.95 * errors[0] + np.sqrt(1 - 0.95**2) * error
        models.append(loudness * (a * first + b * second + spread * error))
    return y, models


def strengths_of(rule: str, y: Floats, models: Sequence[Floats]) -> Floats:
    """Judge models by a rule."""
    if rule == "average":
        return np.ones((len(models), y.shape[1]))
    if rule == "stacked":
        return stacked.stack(y, np.stack(models))
    module = {"per_roi": per_roi, "per_vertex": per_vertex}[rule]
    return np.array([module.strength(y, model) for model in models])


def members_of(rule: str, y: Floats, models: Sequence[Floats]) -> NDArray[np.bool_]:
    """Select members as the ensemble does: each half with strengths from the other."""
    late = split_pictures(np.arange(len(y)).astype("S"), 0)
    folds = []
    for rows, other in ((~late, late), (late, ~late)):
        strengths = strengths_of(rule, y[other], [model[other] for model in models])
        weighted = [(s * m[rows]).T.astype("f4") for s, m in zip(strengths, models, strict=True)]
        folds.append(Fold(y[rows], np.stack(weighted)))
    return select_members(folds, y.shape[1]).members


def combined(strengths: Floats, models: Sequence[Floats]) -> Floats:
    """Combine predictions; where there is no strength, all weigh the same."""
    strengths = np.where(strengths.sum(axis=0) > 0, strengths, 1)
    return np.einsum("kv,knv->nv", strengths / strengths.sum(axis=0), np.stack(models))


def shortfalls(mixture: str, n: int, noise: float, seed: int) -> dict[str, float]:
    """Compare every rule with the better of the plain average and the best model."""
    y, models = simulate(mixture, n + NEW, noise, seed)
    seen, new = [m[:n] for m in models], [m[n:] for m in models]
    truth, held = y[n:], y[:n]
    alone = [float(correlation(truth, m).mean()) for m in new]
    chosen = int(np.argmax([correlation(held, m).mean() for m in seen]))
    plain = float(correlation(truth, combined(np.ones((len(new), VERTICES)), new)).mean())
    best = max(*alone, plain)
    found = {"best model on held-out pictures": alone[chosen] - best}
    for rule in RULES:
        members = members_of(rule, held, seen)
        for name, some in ((rule, np.ones(len(models), bool)), (f"{rule}, members", members)):
            those = np.flatnonzero(some)
            strengths = strengths_of(rule, held, [seen[i] for i in those])
            mixed = combined(strengths, [new[i] for i in those])
            found[name] = float(correlation(truth, mixed).mean()) - best
    return found


def main() -> None:
    """Print the table."""
    for n, datasets in DATASETS.items():
        rows = {
            mixture: [shortfalls(mixture, n, s, seed) for s in NOISE for seed in range(datasets)]
            for mixture in MIXTURES
        }
        print(f"\n{n} held-out pictures: r less the better of plain average and best model")
        print(f"{'':32}" + "".join(f"{name:>13}" for name in MIXTURES) + "     mean    worst")
        for name in rows["useless"][0]:
            means = [float(np.mean([row[name] for row in of])) for of in rows.values()]
            cells = "".join(f"{value:13.4f}" for value in means)
            print(f"{name:32}{cells}{np.mean(means):9.4f}{min(means):9.4f}")


if __name__ == "__main__":
    main()
