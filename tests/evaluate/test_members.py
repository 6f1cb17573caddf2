"""The ensemble's members: what helps is in, what hurts is out, and it is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluate.ensembles.per_vertex import strength
from evaluate.metrics._correlation import correlation
from evaluate.scoring.ensemble import combine, compute_strengths, split_pictures
from evaluate.scoring.member_selection import Fold, Selection, select_members
from evaluate.tables.member_lines import describe_members, summarise_members
from tests.builders.commands import call
from tests.builders.fits import load, write_fits


def _select(y: np.ndarray, models: list[np.ndarray], average: bool = False) -> Selection:
    """Select members as `judge` does, of models that cover the same vertices."""
    late = split_pictures(np.arange(len(y)).astype("S"), 0)
    folds = []
    for rows, other in ((~late, late), (late, ~late)):
        strengths = [np.ones(y.shape[1]) if average else strength(y[other], model[other])
                     for model in models]  # fmt: skip
        weighted = [(s * m[rows]).T for s, m in zip(strengths, models, strict=True)]
        folds.append(Fold(y[rows], np.stack(weighted).astype(np.float32)))
    return select_members(folds, y.shape[1])


@pytest.mark.parametrize("n_heldout", [30, 900])
def test_u3_a_bad_fit_is_left_out_and_good_ones_are_not(n_heldout: int) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((n_heldout + 400, 60))
    y = 0.7 * signal + rng.standard_normal(signal.shape)
    errors = rng.standard_normal((5, *signal.shape))
    good = [signal + 0.8 * error for error in errors[:3]]
    bad = [0.5 * signal + 2 * errors[3], 20 * errors[4]]
    seen, new = slice(None, n_heldout), slice(n_heldout, None)
    found = _select(y[seen], [model[seen] for model in (*good, *bad)], average=True)
    assert found.members.tolist() == [True, True, True, False, False]
    assert (found.changes[:3] > 0).all()
    # What is told of the changes: r with and without, here on new pictures.
    mixed = sum(model[new] for model in good)
    r = [correlation(y[new], of).mean() for of in (mixed, mixed + bad[0][new])]
    assert r[1] < r[0]
    np.testing.assert_allclose(found.changes[3], r[1] - r[0], atol=0.02)


def test_u3_duplicates_do_not_outvote_what_says_something_else() -> None:
    rng = np.random.default_rng(1)
    first, second, noise, *errors = rng.standard_normal((6, 900, 60))
    y = first + second + 2 * noise
    same = first + 0.6 * errors[0]
    models = [same, same + 0.05 * errors[1], same, second + 0.6 * errors[2]]
    found = _select(y[:500], [model[:500] for model in models])
    assert found.members[3]
    assert found.members[:3].sum() == 1


def test_u3_without_signal_or_pictures_all_are_members() -> None:
    y = np.random.default_rng(2).standard_normal((40, 10))
    found = _select(y, [np.zeros_like(y)] * 3)
    assert found.members.all()
    assert (found.changes == 0).all()


def test_u3_the_ensemble_with_a_bad_fit_is_that_without_it(simulated: Path, tmp_path: Path) -> None:
    for name in ("alone", "both"):
        write_fits(tmp_path / name, simulated, digest="a" * 16, noise=0.5, subject="01")
    write_fits(tmp_path / "both", simulated, digest="b" * 16, noise=50, seed=1, subject="01")
    alone, both = (load(simulated, tmp_path / name) for name in ("alone", "both"))
    for rule in ("average", "per_roi", "per_vertex", "stacked"):
        strengths = compute_strengths(both, rule=rule)
        assert strengths.selection.members.tolist() == [True, False]
        joined = combine(both, "test", strengths, range(len(both.models)))
        expected = combine(
            alone, "test", compute_strengths(alone, rule=rule), range(len(alone.models))
        )
        assert joined.covered.all()
        scale = np.abs(expected.predictions).max()
        if rule != "stacked":  # whose strengths come from all models together
            np.testing.assert_allclose(joined.predictions, expected.predictions, atol=1e-5 * scale)


def test_u3_who_helps_is_told_in_table_and_submission(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, digest="a" * 16, noise=0.5, subject="01")
    where = ("--data", simulated, "--out", tmp_path, "--subject", "01")
    fast = ("--resamples", 0, "--permutations", 0)
    one = call("evaluate", "scores", *where, *fast)
    assert one.returncode == 0, one.stderr
    assert "ensemble: members" not in one.stdout
    write_fits(tmp_path, simulated, digest="b" * 16, noise=50, seed=1, subject="01")
    for verb, name, more in (("scores", "scores", fast), ("submission", "submission", ())):
        done = call("evaluate", verb, *where, *more)
        assert done.returncode == 0, done.stderr
        assert "ensemble: members are chosen on held-out pictures" in done.stdout
        assert "member in 2 of 2 hemispheres, +" in done.stdout
        assert "left out of all 2 hemispheres, -" in done.stdout
        good, bad = json.loads((tmp_path / f"{name}-01.json").read_text())["members"]
        assert (good["n_chosen"], bad["n_chosen"]) == (2, 0)
        assert good["change"] > 0 > bad["change"]
        assert bad["by_hemisphere"] == {"01 lh": False, "01 rh": False}


def test_u3_too_few_pictures_are_told() -> None:
    class Run:
        name, label, joined = "ridge-a", "ridge", "alexnet"

    few = Selection(np.ones(2, bool), np.full(2, np.nan), np.full(2, np.nan)).by_fit()[0]
    described = summarise_members([Run(), Run()], {"01 lh": {"ridge-a": few}})  # type: ignore[list-item]
    assert "too few held-out pictures" in describe_members(described)[0]
